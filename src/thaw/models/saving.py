"""Save and load a network: `model.json` and `model.weights.h5`, the same bytes for the same network."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thaw import files
from thaw.errors import ThawError
from thaw.params import ModelParams

if TYPE_CHECKING:
    import keras

_CONFIG = "model.json"
_WEIGHTS = "model.weights.h5"
_FORMAT = 1


def save(model: "keras.Model", model_dir: Path, config: dict[str, Any]) -> None:
    """Write `model` into `model_dir`.

    Args:
        config: what `model.json` keeps. `load` needs `model` (a dump of `ModelParams`), `input_shape` and
            `classes` (names in the order of the labels). Of a weight file's path only the name is kept. With `symmetries`
            the network that `load` gives answers with the mean over them, and with `temperature` it has that as its last layer.

    Raises:
        ThawError: `config` lacks one of them, or describes another network.
    """
    kept = {"format": _FORMAT, **config, "input_shape": list(config.get("input_shape", []))}
    params = _params(kept, model_dir)
    if params.weights not in ("imagenet", "none"):
        kept["model"] = params.model_dump() | {"weights": Path(params.weights).name}
    if kept["input_shape"] != list(model.input_shape[1:]):
        raise ThawError(
            f"{model_dir}: config says input {kept['input_shape']}, the network has {model.input_shape[1:]}"
        )
    weights_path = model_dir / _WEIGHTS
    with files.replacing(weights_path) as temporary:
        written = temporary.with_name(f"{temporary.name}.weights.h5")  # Keras insists on this ending
        try:
            model.save_weights(written)
            written.replace(temporary)
        finally:
            written.unlink(missing_ok=True)
    files.write_json(model_dir / _CONFIG, kept | {"weights_sha256": files.digest(weights_path)})


def save_evaluated(model_dir: Path, evaluated_dir: Path, decision: Mapping[str, Any]) -> None:
    """Copy the model in `model_dir` to `evaluated_dir`; the copy's `model.json` has the decision it was evaluated with.

    Args:
        decision: the fields of `thaw.decision.Decision`, by name; and under `decision` what it was chosen for and on, for
            whoever reads it.

    Raises:
        ThawError: there is no such model.
    """
    config = load_config(model_dir)
    with files.replacing(evaluated_dir / _WEIGHTS) as temporary:
        shutil.copyfile(model_dir / _WEIGHTS, temporary)
    files.write_json(evaluated_dir / _CONFIG, {**config, **decision})


def load(model_dir: Path, averaged: bool = True) -> "tuple[keras.Model, dict[str, Any]]":
    """Build the network that `save` wrote; gives it and its configuration.

    Args:
        averaged: without it a network with `symmetries` sees a picture as it is alone, so that one can look into its layers.

    Raises:
        ThawError: a file is missing, torn, changed, or does not fit the other.
    """
    from thaw.models.heads import divide_by_temperature
    from thaw.models.network import build

    config = load_config(model_dir)
    weights_path = model_dir / _WEIGHTS
    if not weights_path.is_file():
        raise ThawError(f"{weights_path}: no such file", "Train again, or fetch it with `dvc pull`.")
    if files.digest(weights_path) != config.get("weights_sha256"):
        raise ThawError(f"{weights_path}: is not the file that {_CONFIG} describes (SHA-256 differs)",
                        "Train again, or fetch both files with `dvc checkout`.")  # fmt: skip
    shape = tuple(config["input_shape"])
    model = build(_params(config, model_dir), shape, len(config["classes"]), seed=0, pretrained=False)
    try:
        model.load_weights(weights_path)
    except (OSError, ValueError, KeyError) as error:
        raise ThawError(
            f"{weights_path}: does not fit {_CONFIG}: {str(error)[:300]}", "Train again."
        ) from None
    if averaged and "symmetries" in config:
        from thaw.models.averaging import average_over

        model = average_over(model, config["symmetries"])
    if "temperature" in config:
        model = divide_by_temperature(model, float(config["temperature"]))
    return model, config


def load_config(model_dir: Path) -> dict[str, Any]:
    """Read `model.json`.

    Raises:
        ThawError: it is missing or cannot be read, or was written by another version.
    """
    path = model_dir / _CONFIG
    try:
        config = files.read_json(path)
    except FileNotFoundError:
        raise ThawError(f"{path}: no such file", "Name the folder of a trained model.") from None
    except ValueError as error:
        raise ThawError(
            f"{path}: not JSON: {error}", "Train again, or fetch it with `dvc checkout`."
        ) from None
    if not isinstance(config, dict) or config.get("format") != _FORMAT:
        raise ThawError(f"{path}: written by another version of thaw", "Train again.")
    _params(config, model_dir)
    return config


def _params(config: dict[str, Any], model_dir: Path) -> ModelParams:
    missing = [key for key in ("model", "input_shape", "classes") if not config.get(key)]
    if missing:
        raise ThawError(f"{model_dir / _CONFIG}: lacks {', '.join(missing)}", "Train again.")
    try:
        return ModelParams.model_validate(config["model"])
    except ValueError as error:
        raise ThawError(f"{model_dir / _CONFIG}: model: {str(error)[:300]}", "Train again.") from None
