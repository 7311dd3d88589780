"""`thaw explain`: what a model saw in images, and what its filters look for."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.completion import complete_run
from thaw.devices import keras_backend
from thaw.errors import ThawError
from thaw.progress import showing

if TYPE_CHECKING:
    import keras

    from thaw.decision import Decision
    from thaw.explain.sheets import InputImage
    from thaw.sources import File

_TITLES = {"grad_cam": "Grad-CAM", "grad_cam++": "Grad-CAM++", "occlusion": "occlusion: what is missed"}
"""Of the heatmaps, as each panel is called, before `for` and the class."""
_METHODS = (*_TITLES, "activations", "filters")


@app.command()
def explain(
    model_name: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_MODEL", help="An MLflow run, or a model's folder.", autocompletion=complete_run
        ),
    ],
    named: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Images.")],
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
    """Lay heat over images where the model saw the class, and draw what its layers make of them: one sheet a picture.

    [bold]Examples[/bold]

      thaw explain models/evaluated cell.png --out explained
      thaw explain models/evaluated cell.png --out explained --class functional
      thaw explain models/evaluated cell.png --out explained --methods filters --layers block5_project_conv
    """
    if keras_backend() != "tensorflow":
        raise ThawError("thaw explain takes gradients by TensorFlow, and KERAS_BACKEND is jax", "Unset KERAS_BACKEND.")
    from thaw.sources import typed

    wanted, files = _parse_methods(methods), list(map(typed, named))
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise ThawError(f"{missing[0]}: no such file", "Name images that are there.")
    model_dir = _find_model(model_name)
    from thaw.decision import decision_of

    with showing("loading TensorFlow"):
        from thaw.models import load, load_config

    config = load_config(model_dir)
    class_index = _class_index(config["classes"], class_name)
    with showing("loading the model"):
        model, _ = load(model_dir)
        one_view = load(model_dir, averaged=False)[0] if "symmetries" in config else model
    names = [name.strip() for name in layers.split(",") if name.strip()]
    images = _Images(files, config)
    with showing("explaining") as report:
        verdicts = _predict(model, images, decision_of(config), class_index)
        written = []
        for path in _write(one_view, images, out_dir, wanted, verdicts, names):
            written.append(path)
            report(len(written), len(files))
    rows = [
        {"image": str(file), "predicted": verdict.predicted, "probability": round(verdict.probability, 6)}
        for file, verdict in zip(files, verdicts, strict=True)
    ]
    if as_json:
        print(
            json.dumps(
                {"images": rows, "pictures": [str(path) for path in written]}, ensure_ascii=False, indent=2
            )
        )
        return
    for verdict in verdicts:
        print(verdict.text)
    print(f"{len(written)} sheet{'s' if len(written) > 1 else ''} in {out_dir}")


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

    def __init__(self, files: "Sequence[File]", config: dict[str, Any]) -> None:
        self.files, self.config = files, config
        self.classes = list(config["classes"])
        # Its place in the list keeps files of one name apart.
        self.names = [f"{number:03}-{file.stem}" for number, file in enumerate(files, 1)]

    def __iter__(self) -> "Iterator[InputImage]":
        from thaw.explain.sheets import open_image

        for file in self.files:
            yield open_image(file, tuple(self.config["input_shape"]), self.config.get("resize", "stretch"))


@dataclass(frozen=True)
class _Verdict:
    """What the model says of an image, and the class that is explained."""

    predicted: str
    probability: float
    explained: int
    text: str
    """For people; of two classes with the probability of the positive one, and where the model draws the line."""


def _predict(
    model: "keras.Model", pictures: _Images, decision: "Decision", class_index: int
) -> list[_Verdict]:
    """The class of each image by the model's decision, and whether it is unsure; it is the explained one where
    `class_index` is below 0."""
    from thaw.decision import UNSURE, probabilities_of

    verdicts, classes = [], pictures.classes
    for file, picture in zip(pictures.files, pictures, strict=True):
        probabilities = probabilities_of(model.predict_on_batch(picture.pixels[None]))
        label = int(decision.labels(probabilities)[0])
        share = float(probabilities[0, label])
        text = f"{file.name}: {classes[label]}, {share:.1%}"
        if len(classes) == 2:
            text += f" (positive class: {classes[1]}, {float(probabilities[0, 1]):.1%}, needed {100 * decision.threshold:g}%)"
        if not decision.is_sure(probabilities)[0]:
            text += f": {UNSURE}"
        verdicts.append(_Verdict(classes[label], share, label if class_index < 0 else class_index, text))
    return verdicts


def _write(
    model: "keras.Model",
    pictures: _Images,
    out_dir: Path,
    methods: Sequence[str],
    verdicts: Sequence[_Verdict],
    layers: Sequence[str],
) -> Iterator[Path]:
    """One sheet a picture, and one a layer for its filters."""
    from thaw.explain import sheets

    if "filters" in methods:
        for layer in layers or [list(sheets.spatial_layers(model))[-1]]:
            path = out_dir / f"filters-{layer}.png"
            sheets.save_png(sheets.draw_filters(model, layer), path)
            yield path
    heated = [method for method in methods if method in _TITLES]
    if not heated and "activations" not in methods:
        return
    last = layers[-1] if layers else ""
    drawn = sheets.draw_heatmaps(model, pictures, heated, [one.explained for one in verdicts], last)
    for name, picture, verdict, heat in zip(pictures.names, pictures, verdicts, drawn, strict=True):
        captions = [f"{_TITLES[method]} for {pictures.classes[verdict.explained]}" for method in heated]
        rows = [sheets.Row(verdict.text, sheets.picture_panels(picture, dict(zip(captions, heat, strict=True))))]
        if "activations" in methods:
            rows += sheets.draw_activations(model, picture, layers)
        sheets.save_png(sheets.compose(rows), out_dir / f"{name}.png")
        yield out_dir / f"{name}.png"
