"""Names of networks and their weights. No TensorFlow."""

import subprocess
import sys

import pytest

from thaw.errors import ThawError
from thaw.models import architectures, check_architecture, pretrained_digest
from thaw.models.pretrained import is_pretrained, locate_weights
from thaw.params import ModelParams


def test_names_are_known_and_unique():
    names = architectures()
    assert len(names) == len(set(names))
    assert {
        "efficientnet_lite0",
        "vgg16",
        "lenet5",
        "alexnet",
        "separable",
        "conv_dropout",
        "mobilenet",
    } <= set(names)


@pytest.mark.parametrize(
    ("wrong", "near"), [("vgg-16", "vgg16"), ("lenet", "lenet5"), ("EfficientNet_Lite0", "lite0")]
)
def test_an_unknown_name_gets_the_nearest(wrong, near):
    with pytest.raises(ThawError, match=near):
        check_architecture(wrong)


def test_digest_of_the_weights(tmp_path):
    path = tmp_path / "gewichte-重み.weights.h5"
    path.write_bytes(b"thaw")
    assert pretrained_digest(ModelParams()).startswith("57934424")
    assert pretrained_digest(ModelParams(weights="none")) is None
    assert len(pretrained_digest(ModelParams(architecture="vgg16", weights=str(path)))) == 64


@pytest.mark.parametrize(
    ("weights", "reason"), [("vgg.h5", "neither"), ("no/such.weights.h5", "no such file")]
)
def test_wrong_weights_are_refused(weights, reason):
    with pytest.raises(ThawError, match=reason):
        pretrained_digest(ModelParams(architecture="vgg16", weights=weights))


@pytest.mark.parametrize(("key", "value", "cure"), [
    ("head", "dense", "gap"), ("dropout", 0.5, "0.3"), ("hidden_units", 64, "256"), ("weights", "mine.weights.h5", "none"),
])  # fmt: skip
def test_what_a_network_of_its_own_has_no_use_for_is_refused(tmp_path, key, value, cure):
    with pytest.raises(ThawError, match=rf"model\.{key}.*lenet5.*\n.*Set model\.{key} to {cure}"):
        locate_weights(ModelParams(architecture="lenet5", **{key: value}), tmp_path)


def test_a_weight_file_is_found_by_its_name(tmp_path):
    (tmp_path / "mine.weights.h5").write_bytes(b"thaw")
    params = ModelParams(architecture="vgg16", weights="mine.weights.h5", dropout=0.5)
    found = locate_weights(params, tmp_path)
    assert found == params.model_copy(update={"weights": str(tmp_path / "mine.weights.h5")})
    for weights in ("imagenet", "none"):
        as_it_is = ModelParams(architecture="vgg16", weights=weights)
        assert locate_weights(as_it_is, tmp_path) == as_it_is
    with pytest.raises(ThawError, match="neither imagenet, none nor"):
        locate_weights(ModelParams(architecture="vgg16", weights="mine.h5"), tmp_path)


def test_an_unknown_network_has_neither_weights_nor_a_digest(tmp_path):
    params = ModelParams(architecture="vgg61")
    for use in (pretrained_digest, lambda params: locate_weights(params, tmp_path)):
        with pytest.raises(ThawError, match="unknown network 'vgg61'"):
            use(params)


def test_what_keras_downloads_has_no_digest_here_and_networks_from_scratch_start_from_nothing():
    assert pretrained_digest(ModelParams(architecture="vgg16")) is None
    assert not is_pretrained(ModelParams(architecture="lenet5"))
    assert not is_pretrained(ModelParams(architecture="vgg16", weights="none"))
    assert is_pretrained(ModelParams(architecture="vgg16"))


@pytest.mark.parametrize("weights", ["imagenet", "none"])
def test_a_network_of_its_own_takes_the_section_as_it_is(tmp_path, weights):
    params = ModelParams(architecture="lenet5", weights=weights, normalization="featurewise")
    assert locate_weights(params, tmp_path) == params


def test_names_and_digests_load_no_tensorflow():
    code = (
        "import sys; from thaw.models import architectures, load, load_config, pretrained_digest; "
        "from thaw.params import ModelParams; architectures(); pretrained_digest(ModelParams()); "
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "src"}, capture_output=True, text=True)
    assert done.stdout == "set()\n"
