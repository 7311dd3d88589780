"""What is laid beside an exported model for who runs it: readers, requirements, `model.json`, and a page that tells of both."""

import importlib.metadata
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from thaw.exporting import readers
from thaw.files import write_text

_NAMES = {"onnx": "ONNX", "openvino": "OpenVINO", "litert": "LiteRT", "saved_model": "TensorFlow SavedModel"}
_FILES = {"onnx": "model.onnx", "openvino": "model.xml, model.bin", "litert": "model.tflite", "saved_model": "saved_model/"}
HEADINGS = ("model", "largest difference of a logit", "other verdicts", "accuracy", "size", "images/s")


def lay_beside(
    folder: Path, model_dir: Path, kind: str, requirements: Sequence[str], metadata: Mapping[str, Any], found: Mapping[str, Any]
) -> None:
    """Write `README.md`, `requirements.txt`, `predict.py`, `runtime.py` and `model.json`."""
    source = Path(readers.__path__[0])
    shutil.copyfile(source / "predict.py", folder / "predict.py")
    shutil.copyfile(source / f"{kind}.py", folder / "runtime.py")
    shutil.copyfile(model_dir / "model.json", folder / "model.json")
    write_text(folder / "requirements.txt", "".join(f"{_pinned(name)}\n" for name in (*requirements, "numpy", "pillow")))
    write_text(folder / "README.md", _page(kind, metadata, found))


def table(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The models as rows of text, under `HEADINGS`."""
    for name, row in found["models"].items():
        precision = "float32" if name == "float32" else found["precision"]
        yield (
            "Keras" if name == "keras" else f"{found['format']}, {precision}",
            f"{row['largest_logit_difference']:.2g}",
            f"{row['other_verdicts']} of {found['images']}",
            f"{row['accuracy']:.4f}",
            f"{row['bytes'] / 1e6:.1f} MB",
            f"{row['images_per_second']:.1f}",
        )


def _pinned(name: str) -> str:
    try:
        return f"{name}=={importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return name


def _page(kind: str, metadata: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    height, width, channels = metadata["input_shape"]
    classes = metadata["classes"]
    decision = (
        f"`{classes[1]}` from a probability of {metadata['threshold']:g} on"
        if len(classes) == 2
        else "the class of the largest probability"
    )
    if metadata["least_certainty"]:
        decision += f"; below a certainty of {metadata['least_certainty']:.3g}, as `predict.py` measures it, it is `unsure`"
    lines = [
        f"# {metadata['architecture']} as {_NAMES[kind]}",
        "",
        "    pip install -r requirements.txt",
        "    python predict.py photo.jpg",
        "",
        f"- **{_FILES[kind]}**: takes `pixels`, uint8 `(n, {height}, {width}, {channels})`, "
        f"{metadata['channels']}, 0 to 255; all scaling is inside. Any number of images at once.",
        f"- It gives `logits`, already divided by the temperature ({metadata['temperature']:g}), and `probabilities` `(n, "
        f"{len(classes)})`, a column a class in the order of its metadata. The verdict is {decision}.",
        f"- A picture is brought to {width}x{height} by `{metadata['resize']}`, as `predict.py` does it.",
        "- Classes, threshold, temperature, size and resizing are in the file's own metadata too (`runtime.py` reads them).",
        "- `model.json` is thaw's description of the model; `model_card.md`, where there is one, what it may be used for.",
        "",
        "## Held against Keras",
        "",
        f"On all {found['images']} images of the test split, read by thaw's reader; speeds were taken in turns on one machine.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---|" + "---:|" * (len(HEADINGS) - 1),
        *("| " + " | ".join(row) + " |" for row in table(found)),
    ]
    if found["precision"] == "int8":
        lines += ["", f"Calibrated on {found['calibration_images']} training images. In float32 stay: {found['in_float32']}."]
    return "\n".join(lines) + "\n"
