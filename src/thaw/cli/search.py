"""`thaw search`: which parameters suit the data."""

import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.console import print_table
from thaw.cli.options import Compute
from thaw.errors import ThawError
from thaw.params import load_params
from thaw.params.yaml import render_scalar
from thaw.progress import showing
from thaw.project import find_root, holding

if TYPE_CHECKING:
    from thaw.params import Params
    from thaw.statistics.comparison import Difference
    from thaw.trials.recording import Recorded
    from thaw.trials.scoring import WholeTask
    from thaw.tuning.heads import HeadTask
    from thaw.tuning.space import Space
    from thaw.tuning.study import Trial
    from thaw.versioning import DvcRepo

_SHOWN = 10


@app.command()
def search(
    space_path: Annotated[
        Path | None, typer.Argument(help="Ranges and choices; search.yaml beside params.yaml.", show_default=False)
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many, beside today's parameters.")] = 30,
    folds: Annotated[int, typer.Option(min=2, help="Folds that each trial is judged on.")] = 5,
    repeats: Annotated[
        int, typer.Option(min=0, help="Divisions into folds; 0: two where heads are trained, one where whole models are.")
    ] = 0,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes; 0: one for each core. They change no result.")
    ] = 0,
    init: Annotated[bool, typer.Option("--init", help="Write a search.yaml to begin with, and end.")] = False,
    compute: Compute = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Look for parameters that suit the data, among the ranges in [bold]search.yaml[/bold] (without one a few are built in).

    Where only keys of train_frozen, model.dropout and model.hidden_units are searched, a trial trains a head a fold on the
    features that `thaw run` left, in seconds; with any other key whole models, one after the other. It learns from, and is
    judged on, the train and validation splits: the test split decides nothing. Trials that a signed-rank test finds surely
    worse end early. The winner is then held against today's parameters on folds that the search did not use.

    params.yaml stays as it is: the last line applies the winner. A search that was killed goes on where it stopped when it is
    started again, and a longer one begins with what a shorter one did.

    [bold]Examples[/bold]

      thaw search --init
      thaw search
      thaw search wide.yaml --trials 100 --workers 4
      thaw search --json
    """
    from thaw.devices import available_cpus
    from thaw.tuning.space import read_space

    root = find_root()
    path = space_path or root / "search.yaml"
    if init:
        _write_first(path)
        return
    if space_path and not path.exists():
        raise ThawError(f"{path}: no such file", "`thaw search --init` writes a search.yaml to begin with.")
    params = load_params(root / "params.yaml")
    space = read_space(path, params)
    if not path.exists() and not as_json:
        typer.echo("There is no search.yaml: the built-in ranges are searched (`thaw search --init` writes them).", err=True)
    with holding(root):
        task = head_task(root, params, folds) if space.is_of_heads() else _whole_task(root, params, folds)
        found, told = _search(root, space, task, trials, repeats or task.repeats, workers or available_cpus(), compute)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        _print(space, found, told)


def _write_first(path: Path) -> None:
    from thaw.files import write_text
    from thaw.tuning.space import DEFAULT

    if path.exists():
        raise ThawError(f"{path.name}: is there already", "Edit it, or remove it first.")
    write_text(path, DEFAULT)
    typer.echo(f"{path.name}: written. Edit it, then run `thaw search`.")


def head_task(root: Path, params: "Params", folds: int) -> "HeadTask":
    """What scores heads on the project's features, which have to be those of today's data and parameters.

    Raises:
        ThawError: they are not, or there are none.
    """
    from thaw.stages import paths_of
    from thaw.tuning.heads import Features, HeadTask

    with _up_to_date(root, "train_frozen") as repo:
        spec = repo.stage("train_frozen")
    features = paths_of(Features, spec.inputs, spec.name)
    return HeadTask(features, params, features.count_folds(folds))


def _whole_task(root: Path, params: "Params", folds: int) -> "WholeTask":
    """What scores whole trainings on the images of train and validation."""
    from thaw.cross_validation.folds import count_folds
    from thaw.cross_validation.material import read_images
    from thaw.files import digest
    from thaw.fingerprint import content_key
    from thaw.project import scratch_dir
    from thaw.trials.scoring import WholeTask
    from thaw.trials.whole import WholeTraining

    with _up_to_date(root, "augment") as repo:
        specs, versions = {spec.name: spec for spec in repo.stages()}, repo.data_version()
    split = specs["split"].outputs
    paths = [split[f"{name}_path"] for name in ("train", "validation", "classes")]
    material = read_images(*paths)
    count = count_folds(material.labels, material.units, folds, len(material.classes))
    training = WholeTraining(root, specs, params, scratch_dir(root, "search") / "work")
    return WholeTask(training, material, count, content_key(sorted(versions.items()), *map(digest, paths)))


@contextmanager
def _up_to_date(root: Path, stage: str) -> "Iterator[DvcRepo]":
    """The project's books, where all that a stage reads is of today's data and parameters."""
    from thaw.versioning import DvcRepo, choose_stages

    repo = DvcRepo(root)
    try:
        choose_stages(repo, repo.changed, only=[stage])
        repo.stage(stage).require_inputs(root)
        yield repo
    finally:
        repo.close()


def _search(
    root: Path, space: "Space", task: "HeadTask | WholeTask", trials: int, repeats: int, workers: int, compute: str
) -> tuple["list[Trial]", dict[str, Any]]:
    """Search, and record it in MLflow; the trials, and what came out as JSON has it."""
    from thaw.compute.choosing import choose
    from thaw.fingerprint import content_key
    from thaw.project import scratch_dir
    from thaw.trials.recording import recording
    from thaw.tuning.journal import ScoreJournal
    from thaw.tuning.study import Plan, best_of, run_study
    from thaw.tuning.verdict import hold_against_today

    key, plan = task.key(), Plan(trials, task.divisions(0, repeats), task.params.seed)
    mark = content_key("search", key, space.entries, plan)
    told = space.params.flat(("seed", "model", "augment", "train_frozen", "fine_tune"))
    journal = ScoreJournal(scratch_dir(root, "search"), key)
    with (
        recording(root, "search", f"search, {trials} trials", told, {}, mark) as recorded,
        showing("searching") as tell,
        task.scoring(workers, choose(task.params.compute, compute)) as score,
    ):

        def ended(trial: "Trial") -> None:
            _record(recorded, trial)
            tell(trial.number, trials)

        found = run_study(space, plan, score, journal, ended)
        best = best_of(found)
        if not math.isfinite(best.log_loss):
            raise ThawError("every training of the search diverged", "Lower the range of the learning rate.")
        unseen = task.divisions(repeats, task.confirming)
        differences = hold_against_today(best, unseen, task.folds, score, journal) if best.overrides else {}
        told = _tell(found, best, differences, space.is_of_heads())
        recorded.record_metrics({"held_out/log_loss": best.log_loss, "held_out/accuracy": best.accuracy})
        recorded.record_tags({"mlflow.note.content": "  \n".join(_lines(told))})
    return found, told


def _record(recorded: "Recorded", trial: "Trial") -> None:
    """Record a trial; what diverged has no loss that MLflow takes."""
    steps = {fold: _metrics(one.log_loss, one.accuracy) for fold, one in trial.scores.items()}
    key, name = ("today", "today") if trial.number == 0 else (f"trial-{trial.number:04}", f"trial {trial.number}")
    metrics = {**_metrics(trial.log_loss, trial.accuracy), "held_out/folds": float(len(trial.scores))}
    recorded.record_child(key, name, metrics, trial.overrides, {fold: values for fold, values in steps.items() if values})


def _metrics(log_loss: float, accuracy: float) -> dict[str, float]:
    return {"held_out/log_loss": log_loss, "held_out/accuracy": accuracy} if math.isfinite(log_loss) else {}


def _tell(
    found: Sequence["Trial"], best: "Trial", differences: Mapping[str, "Difference"], heads: bool
) -> dict[str, Any]:
    """What came out, as JSON has it; `heads`: of heads alone."""
    from dataclasses import asdict

    from thaw.tuning.verdict import say_verdict

    settings = "".join(f" -S {shlex.quote(f'{key}={render_scalar(value)}')}" for key, value in best.overrides.items())
    return {
        "best": best.number,
        "heads": heads,
        "overrides": dict(best.overrides),
        "against_today": {name: asdict(difference) for name, difference in differences.items()},
        "verdict": say_verdict(best, differences),
        "run": f"thaw run{settings}" if settings else "",
        "trials": [
            {
                "number": trial.number, "overrides": dict(trial.overrides), "log_loss": _finite(trial.log_loss),
                "accuracy": trial.accuracy, "folds": len(trial.scores), "ended_early": trial.ended_early,
            }
            for trial in found
        ],
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _print(space: "Space", found: Sequence["Trial"], told: Mapping[str, Any]) -> None:
    from rich.table import Table

    values = space.params.flat(space.params.sections())
    table = Table("trial", "log loss", "accuracy", "folds", *(key.replace(".", ".\n", 1) for key in space.keys))
    ranked = sorted(found, key=lambda trial: (trial.ended_early, trial.log_loss))
    for trial in dict.fromkeys([*(trial.number for trial in ranked[:_SHOWN]), 0]):
        one = found[trial]
        shown = [f"{(values | dict(one.overrides))[key]}" for key in space.keys]
        name = str(one.number) if one.number else "today"
        style = "bold" if one.number == told["best"] else ""
        table.add_row(name, f"{one.log_loss:.4f}", f"{one.accuracy:.4f}", str(len(one.scores)), *shown, style=style)
    print_table(table)
    early = sum(trial.ended_early for trial in found)
    typer.echo(f"{len(found) - 1} trials, {early} ended early.")
    for line in _lines(told):
        typer.echo(line)


def _lines(told: Mapping[str, Any]) -> list[str]:
    if not told["run"]:
        return [f"{told['verdict'].capitalize()}."]
    by = {
        name: f"{name.replace('_', ' ')} {one['mean']:+.4f} (95 % interval {one['low']:+.4f} to {one['high']:+.4f})"
        for name, one in told["against_today"].items()
    }
    against = f"Trial {told['best']} against today's parameters, on folds that the search did not use: "
    return [
        *([f"{against}{'; '.join(by.values())}."] if by else []),
        f"It is {told['verdict']}.",
        *(["Judged were heads on frozen features: what fine_tune makes of them the run tells."] if told["heads"] else []),
        told["run"],
    ]
