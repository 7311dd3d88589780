"""Names of networks and their weights. No TensorFlow."""

import subprocess
import sys

import pytest

from thaw.errors import ThawError
from thaw.models import architectures, check_architecture, pretrained_digest
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


def test_names_and_digests_load_no_tensorflow():
    code = (
        "import sys; from thaw.models import architectures, load, load_config, pretrained_digest; "
        "from thaw.params import ModelParams; architectures(); pretrained_digest(ModelParams()); "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "src"})
