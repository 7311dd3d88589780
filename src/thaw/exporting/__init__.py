"""Write a trained model for a runtime that knows nothing of thaw, and show that it says what Keras says."""

import importlib
import importlib.util
import logging
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from thaw import images
from thaw.decision import probabilities_of
from thaw.devices import keras_backend
from thaw.errors import ThawError
from thaw.exporting import agreement
from thaw.exporting.agreement import Record, Run
from thaw.exporting.calibration import draw_examples
from thaw.exporting.leaflet import lay_beside
from thaw.exporting.served import Served, serve
from thaw.files import folder_beside, write_json
from thaw.inference import exclude_tensor_float_32
from thaw.models.saving import load
from thaw.sources import READERS, File, StoredPath
from thaw.splitting.files import read_classes, read_split
from thaw.trees import is_empty, taking_place

if TYPE_CHECKING:
    import keras

Format = Literal["onnx", "openvino", "litert", "saved_model"]
log = logging.getLogger("thaw.exporting")
_BATCH_SIZE = 32


@dataclass(frozen=True)
class ExportData:
    """The images that an export is held against, and calibrated on."""

    raw_dir: Path
    splits_dir: Path
    views_dir: Path
    seed: int


def export(
    model_dir: Path, target_dir: Path, kind: Format, data: ExportData, *, int8: bool = False, force: bool = False,
    card_path: Path | None = None,
) -> dict[str, Any]:
    """Write a model, with readers and documents beside it, into a folder that appears whole or not at all.

    Args:
        int8: weights and activations as whole numbers, calibrated on training images.
        force: a folder that is there is moved aside (`<name>.old-<number>`).
        card_path: a model card to lay beside it.

    Returns:
        What is written as `agreement.json`: `images` (of the test split) and `models`, a row each.

    Raises:
        ThawError: the folder is there; something that the format needs is not installed; the model or an image cannot be
            read; the export in float32 gives other probabilities than Keras's network.
    """
    if not force and not is_empty(target_dir):
        raise ThawError(f"{target_dir}: is there already", "Name another folder, or move it aside with --force.")
    module = _format_module(kind, int8)
    files, labels = _test_images(data, model_dir)
    network, config = load(model_dir)
    served = serve(network, config)
    examples = draw_examples(data.views_dir, data.splits_dir, network.input_shape[1:], data.seed) if int8 else None
    with folder_beside(target_dir) as temporary:
        new = temporary / "export"
        folders = {name: temporary / name for name in (["float32"] if int8 else [])} | {"export": new}
        for name, folder in folders.items():
            log.info("writing %s, %s", kind, name, extra={"done": 0, "total": 0})
            folder.mkdir()
            module.write(served, folder, examples if name == "export" else None)
        found = _hold_against(network, folders, kind, (files, labels), served)
        found |= {"format": kind, "precision": "int8" if int8 else "float32"}
        if int8:
            found |= {"calibration_images": len(examples), "in_float32": module.IN_FLOAT}  # type: ignore[arg-type]
        else:
            agreement.check(found["models"]["export"], kind)
        found["models"] = {"keras": {"bytes": _size(model_dir)} | found["models"].pop("keras")} | found["models"]
        write_json(new / "agreement.json", found)
        lay_beside(new, model_dir, kind, module.REQUIREMENTS, served.metadata, found)
        if card_path:
            shutil.copyfile(card_path, new / "model_card.md")
        with taking_place(new, target_dir):
            pass
    return found


def _format_module(kind: Format, int8: bool) -> ModuleType:
    if keras_backend() != "tensorflow":
        raise ThawError(f"export: the converters read TensorFlow's graphs, and KERAS_BACKEND is {keras_backend()}",
                        "Run with KERAS_BACKEND=tensorflow; a model is the same file for both.")  # fmt: skip
    module = importlib.import_module(f"thaw.exporting.formats.{kind}")
    if int8 and module.NEEDS_INT8 is None:
        raise ThawError(f"--int8: {kind} has no arithmetic of whole numbers",
                        "Choose --format openvino, onnx or litert, or leave --int8 out.")  # fmt: skip
    reader = ("onnxruntime",) if kind == "onnx" else ()
    needed = (*module.NEEDS, *reader, *(module.NEEDS_INT8 if int8 else ()))
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ThawError(f"--format {kind} needs {', '.join(missing)}", "pip install 'thaw[export]'")
    return module


def _test_images(data: ExportData, model_dir: Path) -> tuple[list[File], np.ndarray]:
    from thaw.models.saving import load_config

    path = data.splits_dir / "test.csv"
    if not path.is_file():
        raise ThawError(f"{path}: no test split to hold the export against", "`thaw run`, or `dvc pull`.")
    rows, classes = read_split(path), read_classes(data.splits_dir / "classes.json")
    if rows.empty:
        raise ThawError(f"{path}: no test images to hold the export against", "Set split.test_fraction above 0.")
    trained_on = list(load_config(model_dir)["classes"])
    if trained_on != classes:
        raise ThawError(f"{model_dir}: trained on {trained_on}, the data has {classes}",
                        "Export where the model's data is.")  # fmt: skip
    return [images.inside(data.raw_dir, name) for name in rows["path"]], rows["label"].to_numpy()


def _hold_against(
    network: "keras.Model", folders: dict[str, Path], kind: Format, test: tuple[Sequence[File], np.ndarray], served: Served
) -> dict[str, Any]:
    """Run Keras and each export over all test images."""
    reader = importlib.import_module(f"thaw.exporting.readers.{kind}")
    runs: dict[str, Run] = {"keras": _keras_run(network)}
    runs |= {name: reader.open_model(folder)[1] for name, folder in folders.items()}
    records = {name: Record(run) for name, run in runs.items()}
    files, labels = test
    timed: list[np.ndarray] = []
    for done, pixels in _batches(files, served):
        for record in records.values():
            record.add(pixels)
        timed += [pixels] if len(timed) < 2 else []
        log.info("%d of %d images", done, len(files), extra={"done": done, "total": len(files)})
    threshold = served.metadata["threshold"]
    rows = {name: agreement.compare(records["keras"], record, labels, threshold) for name, record in records.items()}
    for name, speed in agreement.measure(runs, timed).items():
        rows[name]["images_per_second"] = round(speed, 1)
    for name, folder in folders.items():
        rows[name]["bytes"] = _size(folder)
    return {"images": len(files), "bound": agreement.BOUND, "models": rows}


def _keras_run(network: "keras.Model") -> Run:
    from thaw.backends import backend

    exclude_tensor_float_32()
    logits_of = backend.runner(network)

    def run(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits = logits_of(pixels)
        return logits, probabilities_of(logits)

    return run


def _batches(files: Sequence[File], served: Served) -> Iterator[tuple[int, np.ndarray]]:
    (height, width, channels), resize = served.metadata["input_shape"], served.metadata["resize"]
    is_far = any(isinstance(file, StoredPath) for file in files[:1])
    with ThreadPoolExecutor(READERS if is_far else 2) as pool:
        for start in range(0, len(files), _BATCH_SIZE):
            part = files[start : start + _BATCH_SIZE]
            read = pool.map(lambda file: images.load(file, height, width, channels, resize), part)
            yield start + len(part), np.stack(list(read))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
