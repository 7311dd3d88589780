"""`thaw predict`: what the model says of images."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.completion import complete_run
from thaw.cli.console import print_table
from thaw.cli.options import Compute
from thaw.errors import ThawError
from thaw.progress import showing
from thaw.project import find_root, home_dir, scratch_dir

if TYPE_CHECKING:
    from thaw.compute import Executor
    from thaw.params import ExtractParams
    from thaw.sources import File
    from thaw.stages.evaluate import Classifier
    from thaw.tracking.store import Store

_MOST_COLUMNS = 5


@app.command()
def predict(
    sources: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Images, or folders of images.")],
    run_id: Annotated[
        str | None,
        typer.Option("--run", help="Take the model of this MLflow run.", autocompletion=complete_run),
    ] = None,
    csv_path: Annotated[Path | None, typer.Option("--csv", help="Write the table to this file.")] = None,
    compute: Compute = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Say what the model takes images for, or that it is unsure, where it was evaluated with a bound (evaluate.unsure). Ends
    with exit code 1 when one could not be read.

    [bold]Examples[/bold]

      thaw predict photo.jpg
      thaw predict holiday/ --csv classes.csv
      thaw predict photo.jpg --run 0a1b2c3d4e5f60718293a4b5c6d7e8f9 --json
      thaw predict archive/ --csv classes.csv --compute ray://head:10001
    """
    from thaw.compute import choose, open_executor
    from thaw.params import load_params

    root = find_root()
    files = list(_files(sources))
    params = load_params(root / "params.yaml")
    with open_executor(choose(params.compute, compute)) as executor:
        classifier = _open(root, run_id, params.extract)
        with showing("images"):
            rows = _predict(classifier, files, executor)
    if csv_path:
        from thaw.files import write_text

        write_text(csv_path, _as_csv(rows, classifier.classes))
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        _print(rows, classifier.classes, csv_path)
    failed = [row for row in rows if row["error"]]
    for row in failed:
        typer.echo(f"{row['path']}: {row['error']}", err=True)
    if failed:
        raise typer.Exit(1)


def _files(sources: list[Path]) -> "Iterator[File]":
    from thaw.pictures import pictures_below
    from thaw.sources import typed

    for source in map(typed, sources):
        found = pictures_below(source) if source.is_dir() else [source]
        if not found:
            raise ThawError(
                f"{source}: no images in this folder", "Name images, or a folder that holds some."
            )
        yield from found


def _open(root: Path, run_id: str | None, extract: "ExtractParams") -> "Classifier":
    from thaw.stages.evaluate import open_classifier
    from thaw.tracking.registry import name_model

    model_dir = download_model(root, run_id) if run_id else root / "models" / "evaluated"
    if not model_dir.is_dir():
        raise ThawError(
            f"{model_dir}: no trained model", "Train one with `thaw run`, or name a run: --run ID."
        )
    # The scratch of `evaluate` holds the network compiled, so that nothing waits for TensorFlow.
    with showing("loading the model"):
        classifier = open_classifier(model_dir, extract, scratch_dir(root, "evaluate"))
    typer.echo(name_model(home_dir(root), model_dir), err=True)
    return classifier


def download_model(root: Path, run_id: str) -> Path:
    """The folder of a run's model, fetched when it is not here yet, or not whole.

    Args:
        run_id: or how it begins, as `thaw runs` shows it.

    Raises:
        ThawError: no run has such an id, or several have, or the run has no model.
    """
    if not run_id.isalnum():
        raise ThawError(f"{run_id!r} is no id of a run", "`thaw runs` lists them.")
    try:
        with showing("asking MLflow"):
            from thaw.tracking.store import Store

            store = Store(home_dir(root))
            run_id = store.whole_id(run_id)
            target_dir = scratch_dir(root, "predict") / run_id
            return target_dir if _is_whole(target_dir) else _fetch(store, run_id, target_dir)
    except ThawError:
        raise
    except Exception as error:  # MLflow and its stores raise many kinds
        reason = str(error) or type(error).__name__
        raise ThawError(f"run {run_id}: no model: {reason}", "`thaw runs` lists the runs.") from None


def _is_whole(model_dir: Path) -> bool:
    """Whether the weights are those that `model.json` describes: a disk that was full, or a power cut, leaves others."""
    from thaw.files import digest, read_json

    try:
        return digest(model_dir / "model.weights.h5") == read_json(model_dir / "model.json")["weights_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _fetch(store: "Store", run_id: str, target_dir: Path) -> Path:
    """Download beside, check, and put in place: what was cut short is never taken for a model."""
    from thaw.files import folder_beside

    with folder_beside(target_dir) as temporary:
        model_dir = store.download_model(run_id, temporary)
        if not _is_whole(model_dir):
            raise ThawError(f"run {run_id}: the model came damaged (SHA-256 differs)", "Try again.")
        shutil.rmtree(target_dir, ignore_errors=True)
        try:
            model_dir.replace(target_dir)
        except OSError:
            if not _is_whole(target_dir):  # else another process has just put it there
                raise
    return target_dir


def _predict(classifier: "Classifier", files: "list[File]", executor: "Executor") -> list[dict[str, Any]]:
    from thaw.layout import printable

    places = [file.absolute() for file in files]  # a node has another folder of work
    probabilities, failures = classifier.predict(places, executor)
    any_read = len(failures) < len(files)
    answers = classifier.decision.answers(probabilities, classifier.classes).tolist() if any_read else []
    rows = []
    for number, file in enumerate(files):
        row: dict[str, Any] = {
            "path": printable(str(file)),
            "predicted": None,
            "probability": None,
            "error": None,
        }
        if number in failures:
            row["error"] = printable(failures[number].reason.removeprefix(f"{places[number]}: "))
        else:
            row["predicted"] = answers[number]
            shares = (round(float(share), 6) for share in probabilities[number])
            row["probability"] = dict(zip(classifier.classes, shares, strict=True))
        rows.append(row)
    return rows


def _as_csv(rows: list[dict[str, Any]], classes: list[str]) -> str:
    text = io.StringIO()
    names = "".join([*classes, *(row["path"] for row in rows)])
    is_odd = "\r" in names  # the writer leaves a carriage return bare, as if a line ended
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if is_odd else csv.QUOTE_MINIMAL)
    writer.writerow(["path", "predicted", *(f"probability_{name}" for name in classes), "error"])
    for row in rows:
        shares = [row["probability"][name] for name in classes] if row["probability"] else [""] * len(classes)
        writer.writerow([row["path"], row["predicted"], *shares, row["error"]])
    return text.getvalue()


def _print(rows: list[dict[str, Any]], classes: list[str], csv_path: Path | None) -> None:
    from rich.markup import escape
    from rich.table import Table

    predicted = [row for row in rows if not row["error"]]
    if csv_path:
        counts = f"{len(predicted)} images predicted, {len(rows) - len(predicted)} unreadable"
        typer.echo(f"{csv_path}: {counts}")
    elif predicted:
        shown = classes if len(classes) <= _MOST_COLUMNS else []
        table = Table("image", "class", *(map(escape, shown) if shown else ["probability"]))
        table.columns[0].overflow = "fold"
        for row in predicted:
            likeliest = max(row["probability"], key=row["probability"].__getitem__)
            shares = (f"{row['probability'][name]:.3f}" for name in shown or [likeliest])
            answer = escape(row["predicted"])
            table.add_row(escape(row["path"]), answer if row["predicted"] in classes else f"[yellow]{answer}[/]", *shares)
        print_table(table)
