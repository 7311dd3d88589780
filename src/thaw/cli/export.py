"""`thaw export`: the model for a runtime without thaw."""

import json
import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from thaw.cli import app
from thaw.cli.completion import complete_run
from thaw.cli.console import print_table
from thaw.errors import ThawError
from thaw.progress import showing
from thaw.project import find_root


@app.command()
def export(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to write; it is made.")],
    kind: Annotated[
        Literal["onnx", "openvino", "litert", "saved_model"], typer.Option("--format", help="For which runtime.")
    ] = "onnx",
    int8: Annotated[
        bool, typer.Option("--int8", help="Whole numbers, calibrated on training images: smaller and faster.")
    ] = False,
    run_id: Annotated[
        str | None, typer.Option("--run", help="Take the model of this MLflow run.", autocompletion=complete_run)
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Move a folder that is there aside.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Write the model for a runtime that knows nothing of thaw, and hold it against Keras on the whole test split.

    It takes raw pixels and gives logits and probabilities; classes, threshold and temperature are in the file. Beside it: a
    small reader, what the reader needs, the model card, and how well it agrees with Keras. In float32 nothing is written where
    a probability differs by more than 0.001.

    [bold]Examples[/bold]

      thaw export --to shipped --format onnx
      thaw export --to phone --format litert --int8
      thaw export --to server --format openvino --run 0a1b2c3d4e5f60718293a4b5c6d7e8f9
    """
    from thaw.exporting import ExportData, leaflet
    from thaw.exporting import export as write
    from thaw.params import load_params

    logging.getLogger().addHandler(logging.NullHandler())  # else TensorFlow's first word has Python print thaw's progress too
    root = find_root()
    model_dir = _model_dir(root, run_id)
    card_path = _card(root, model_dir, run_id)
    data = root / "data"
    with showing("exporting"):
        found = write(
            model_dir,
            to,
            kind,
            ExportData(data / "raw", data / "splits", data / "views", load_params(root / "params.yaml").seed),
            int8=int8,
            force=force,
            card_path=card_path,
        )
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _tell(to, found, list(leaflet.table(found)), leaflet.HEADINGS)
    _warn(found)


def _model_dir(root: Path, run_id: str | None) -> Path:
    from thaw.cli.predict import download_model

    model_dir = download_model(root, run_id) if run_id else root / "models" / "evaluated"
    if not model_dir.is_dir():
        raise ThawError(f"{model_dir}: no trained model", "Train one with `thaw run`, or name a run: --run ID.")
    return model_dir


def _card(root: Path, model_dir: Path, run_id: str | None) -> Path | None:
    """The card of this very model; None, and a word of it, where there is none."""
    from thaw.files import read_json

    path = _fetch_card(root, model_dir, run_id) if run_id else root / "reports" / "model_card.md"
    weights = read_json(model_dir / "model.json").get("weights_sha256", "")
    if path and path.is_file() and weights in path.read_text(encoding="utf-8"):
        return path
    typer.echo("without a model card: the stage `report` has made none of this model (`thaw run`)", err=True)
    return None


def _fetch_card(root: Path, model_dir: Path, run_id: str) -> Path | None:
    from thaw.project import home_dir

    if (model_dir / "model_card.md").is_file():
        return model_dir / "model_card.md"
    try:
        from thaw.tracking.store import Store

        store = Store(home_dir(root))
        return store.download_file(store.whole_id(run_id), "model_card.md", model_dir)
    except Exception as error:  # MLflow and its stores raise many kinds, and the model is here
        typer.echo(f"run {run_id}: {error}", err=True)
        return None


def _tell(to: Path, found: dict[str, Any], rows: list[tuple[str, ...]], headings: tuple[str, ...]) -> None:
    from rich.table import Table

    table = Table(*headings)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    print_table(table)
    typer.echo(f"{to}: {found['format']}, {found['precision']}; held against Keras on {found['images']} test images")


def _warn(found: dict[str, Any]) -> None:
    from thaw.exporting.agreement import INT8_LOSS

    loss = found["models"]["keras"]["accuracy"] - found["models"]["export"]["accuracy"]
    if loss > INT8_LOSS:
        typer.echo(
            f"int8 loses {100 * loss:.1f} points of accuracy, more than {100 * INT8_LOSS:g}: leave --int8 out, or choose "
            "another --format",
            err=True,
        )
