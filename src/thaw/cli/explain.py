"""`thaw explain`: what a model saw in images, and what its filters look for."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.completion import complete_run
from thaw.devices import keras_backend
from thaw.errors import ThawError

if TYPE_CHECKING:
    import keras

    from thaw.explain.sheets import InputImage

_METHODS = ("grad_cam", "grad_cam++", "occlusion", "activations", "filters")


@app.command()
def explain(
    model_name: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_MODEL", help="An MLflow run, or a model's folder.", autocompletion=complete_run
        ),
    ],
    files: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Images.")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the pictures go.")],
    methods: Annotated[
        str, typer.Option(help="Some of grad_cam, grad_cam++, occlusion, activations, filters.")
    ] = ("grad_cam,grad_cam++,occlusion,activations"),
    class_name: Annotated[
        str, typer.Option("--class", help="Explain this class, not the predicted one.")
    ] = "",
    layers: Annotated[str, typer.Option(help="Layers, with commas between; else the usual ones.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Lay heat over images where the model saw the class, and draw what its layers make of them.

    [bold]Examples[/bold]

      thaw explain models/evaluated cell.png --out explained
      thaw explain models/evaluated cell.png --out explained --class functional
      thaw explain models/evaluated cell.png --out explained --methods filters --layers block5_project_conv
    """
    if keras_backend() != "tensorflow":
        raise ThawError("thaw explain takes gradients by TensorFlow, and KERAS_BACKEND is jax", "Unset KERAS_BACKEND.")
    wanted = _parse_methods(methods)
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise ThawError(f"{missing[0]}: no such file", "Name images that are there.")
    model_dir = _find_model(model_name)
    from thaw.decision import threshold_of
    from thaw.models import load, load_config

    config = load_config(model_dir)
    class_index = _class_index(config["classes"], class_name)
    model, _ = load(model_dir)
    names = [name.strip() for name in layers.split(",") if name.strip()]
    images = _Images(files, config)
    labels, probabilities = _predict(model, images, threshold_of(config))
    looked_for = labels if class_index < 0 else [class_index] * len(files)
    written = list(_write(model, images, out_dir, wanted, looked_for, names))
    rows = [
        {"image": str(file), "predicted": config["classes"][label], "probability": round(probability, 6)}
        for file, label, probability in zip(files, labels, probabilities, strict=True)
    ]
    if as_json:
        print(
            json.dumps(
                {"images": rows, "pictures": [str(path) for path in written]}, ensure_ascii=False, indent=2
            )
        )
        return
    for row in rows:
        print(f"{row['image']}: {row['predicted']} ({row['probability']:.3f})")
    print(f"{len(written)} pictures in {out_dir}")


def _parse_methods(text: str) -> list[str]:
    methods = [name.strip() for name in text.split(",") if name.strip()]
    for name in methods:
        if name not in _METHODS:
            raise ThawError(f"--methods: there is no method {name!r}", f"Take some of {', '.join(_METHODS)}.")
    if not methods:
        raise ThawError("--methods: names none", f"Take some of {', '.join(_METHODS)}.")
    return methods


def _find_model(name: str) -> Path:
    from thaw.cli.predict import download_model
    from thaw.project import find_root

    if (Path(name) / "model.json").is_file():
        return Path(name)
    if Path(name).exists() or not name.isalnum():
        raise ThawError(f"{name}: neither a trained model's folder nor the id of a run",
                        "Name a folder such as models/evaluated, or a run of `thaw runs`.")  # fmt: skip
    return download_model(find_root(), name)


def _class_index(classes: Sequence[str], name: str) -> int:
    if not name:
        return -1
    if name not in classes:
        raise ThawError(f"--class: the model knows no class {name!r}", f"Take one of {', '.join(classes)}.")
    return list(classes).index(name)


class _Images:
    """The images, read when they are looked at, so that memory holds one of them."""

    def __init__(self, files: Sequence[Path], config: dict[str, Any]) -> None:
        self.files, self.config = files, config
        # A folder an image: its place in the list keeps files of one name apart.
        self.folders = [f"{number:03}-{file.stem}" for number, file in enumerate(files, 1)]

    def __iter__(self) -> "Iterator[InputImage]":
        from thaw.explain.sheets import open_image

        for file in self.files:
            yield open_image(file, tuple(self.config["input_shape"]), self.config.get("resize", "stretch"))


def _predict(model: "keras.Model", pictures: _Images, threshold: float) -> tuple[list[int], list[float]]:
    """The class of each image by the model's threshold, and its probability."""
    from thaw.decision import predict_labels, probabilities_of

    labels, shares = [], []
    for picture in pictures:
        probabilities = probabilities_of(model.predict_on_batch(picture.pixels[None]))
        labels.append(int(predict_labels(probabilities, threshold)[0]))
        shares.append(float(probabilities[0, labels[-1]]))
    return labels, shares


def _write(
    model: "keras.Model",
    pictures: _Images,
    out_dir: Path,
    methods: Sequence[str],
    labels: Sequence[int],
    layers: Sequence[str],
) -> Iterator[Path]:
    from thaw.explain import sheets

    def save(sheet: Any, path: Path) -> Path:
        sheets.save_png(sheet, path)
        return path

    for method in methods:
        if method == "filters":
            for layer in layers or [list(sheets.spatial_layers(model))[-1]]:
                yield save(sheets.draw_filters(model, layer), out_dir / f"filters-{layer}.png")
        elif method == "activations":
            for folder, picture in zip(pictures.folders, pictures, strict=True):
                for layer, grid in sheets.draw_activations(model, picture, layers).items():
                    yield save(grid, out_dir / folder / f"activations-{layer}.png")
        else:
            drawn = sheets.draw_heatmaps(model, pictures, method, labels, layers[-1] if layers else "")
            for folder, sheet in zip(pictures.folders, drawn, strict=True):
                yield save(sheet, out_dir / folder / f"{method}.png")
