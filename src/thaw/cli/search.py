"""`thaw search`: which parameters suit the data."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.console import print_table
from thaw.cli.options import Compute
from thaw.errors import ThawError
from thaw.params import load_params
from thaw.progress import showing
from thaw.project import find_root

if TYPE_CHECKING:
    from thaw.params import Params
    from thaw.statistics.comparison import Difference
    from thaw.tuning.heads import Features, HeadTask
    from thaw.tuning.space import Space
    from thaw.tuning.study import Trial
    from thaw.versioning import DvcRepo

_SHOWN = 10
_CONFIRMING = 2
"""Divisions into folds that the winner is held against today's parameters on, and that the search did not use."""


@app.command()
def search(
    space_path: Annotated[
        Path | None, typer.Argument(help="Ranges and choices; search.yaml beside params.yaml.", show_default=False)
    ] = None,
    trials: Annotated[int, typer.Option("--trials", "-n", min=1, help="How many, beside today's parameters.")] = 30,
    folds: Annotated[int, typer.Option(min=2, help="Folds that each trial is judged on.")] = 5,
    repeats: Annotated[
        int, typer.Option(min=1, help="Divisions into folds; a trial that is surely worse ends after one.")
    ] = 2,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=0, help="Processes; 0: one for each core. They change no result.")
    ] = 0,
    init: Annotated[bool, typer.Option("--init", help="Write a search.yaml to begin with, and end.")] = False,
    compute: Compute = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Look for parameters that suit the data, by training heads on the features that [bold]thaw run[/bold] left.

    Ranges of train_frozen, model.dropout and model.hidden_units stand in search.yaml (without one a few are built in). Each
    trial trains a head a fold, on the images of the train and validation splits: the test split decides nothing. Trials that a
    signed-rank test finds surely worse end early. The winner is then held against today's parameters on folds that the search
    did not use.

    params.yaml stays as it is: the last line applies the winner. A search that was killed goes on where it stopped when it is
    started again, and a longer one begins with what a shorter one did.

    [bold]Examples[/bold]

      thaw search --init
      thaw search
      thaw search wide.yaml --trials 100 --workers 4
      thaw search --json
    """
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
    task = head_task(root, params, folds)
    search_heads(root, space, task, trials, repeats, workers or _cores(), compute, as_json)


def _write_first(path: Path) -> None:
    from thaw.files import write_text
    from thaw.tuning.space import DEFAULT

    if path.exists():
        raise ThawError(f"{path.name}: is there already", "Edit it, or remove it first.")
    write_text(path, DEFAULT)
    typer.echo(f"{path.name}: written. Edit it, then run `thaw search`.")


def _cores() -> int:
    from thaw.devices import available_cpus

    return available_cpus()


def head_task(root: Path, params: "Params", folds: int) -> "HeadTask":
    """What scores heads on the project's features, which have to be those of today's data and parameters.

    Raises:
        ThawError: they are not, or there are none.
    """
    from thaw.tuning.heads import HeadTask
    from thaw.versioning import DvcRepo, choose_stages

    repo = DvcRepo(root)
    try:
        choose_stages(repo, repo.changed, only=["train_frozen"])
        features = _features(repo)
    finally:
        repo.close()
    return HeadTask(features, params, features.count_folds(folds))


def _features(repo: "DvcRepo") -> "Features":
    from thaw.stages import paths_of
    from thaw.tuning.heads import Features

    spec = repo.stage("train_frozen")
    spec.require_inputs(repo.root)
    return paths_of(Features, spec.inputs, spec.name)


def search_heads(
    root: Path, space: "Space", task: "HeadTask", trials: int, repeats: int, workers: int, compute: str, as_json: bool
) -> None:
    """Search, record in MLflow, and print what came out."""
    from thaw.compute.choosing import choose
    from thaw.fingerprint import content_key
    from thaw.project import scratch_dir
    from thaw.tracking.trial_runs import TrialRuns
    from thaw.tuning.journal import ScoreJournal
    from thaw.tuning.study import Plan, best_of, run_study
    from thaw.tuning.verdict import hold_against_today
    from thaw.tuning.workers import working

    if not space.is_of_heads():
        raise _not_of_heads(space)
    key = task.key()
    plan = Plan(trials, task.divisions(0, repeats), task.params.seed)
    mark = content_key("search", key, space.entries, plan)
    runs = TrialRuns(root, "search", f"search {trials} trials", mark, space.params.flat(("seed", "model", "train_frozen")))
    journal = ScoreJournal(scratch_dir(root, "search"), key)
    with showing("searching") as tell, working(task, workers, choose(task.params.compute, compute)) as score:

        def ended(trial: "Trial") -> None:
            tell(trial.number, trials)
            _log(runs, trial)

        found = run_study(space, plan, score, journal, ended)
        best = best_of(found)
        unseen = task.divisions(repeats, _CONFIRMING)
        differences = hold_against_today(best, unseen, score, journal) if best.overrides else {}
    told = _tell(found, best, differences)
    problem = runs.finish(_parent_metrics(found, best), {"search.best": told["run"], "search.verdict": told["verdict"]})
    if problem:
        typer.echo(problem, err=True)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        _print(space, found, best, told)


def _not_of_heads(space: "Space") -> ThawError:
    key = next(key for key in space.keys if not key.startswith(("train_frozen.", "model.dropout", "model.hidden_units")))
    return ThawError(f"search.yaml: {key} is no parameter of a head", "Leave it out.")


def _log(runs: Any, trial: "Trial") -> None:
    steps = {
        fold: {"fold/log_loss": score.log_loss, "fold/accuracy": score.accuracy}
        for fold, score in trial.scores.items()
        if score.log_loss != float("inf")
    }
    metrics = {"folds/log_loss": trial.log_loss, "folds/accuracy": trial.accuracy} if len(steps) == len(trial.scores) else {}
    tags = {"search.ended_early": str(trial.ended_early).lower()}
    runs.log_trial(f"trial {trial.number:03}" if trial.number else "today", trial.overrides, metrics, steps, tags)


def _parent_metrics(found: Sequence["Trial"], best: "Trial") -> dict[str, float]:
    metrics = {"search/log_loss": best.log_loss, "search/accuracy": best.accuracy}
    return metrics | {"search/ended_early": float(sum(trial.ended_early for trial in found))}


def _tell(found: Sequence["Trial"], best: "Trial", differences: Mapping[str, "Difference"]) -> dict[str, Any]:
    """What came out, as JSON has it."""
    from dataclasses import asdict

    from thaw.tuning.verdict import say_verdict

    settings = "".join(f" -S {shlex.quote(f'{key}={_text(value)}')}" for key, value in best.overrides.items())
    return {
        "best": best.number,
        "overrides": dict(best.overrides),
        "against_today": {name: asdict(difference) for name, difference in differences.items()},
        "verdict": say_verdict(differences),
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
    return value if value != float("inf") else None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print(space: "Space", found: Sequence["Trial"], best: "Trial", told: Mapping[str, Any]) -> None:
    from rich.table import Table

    values = space.params.flat(space.params.sections())
    table = Table("trial", "log loss", "accuracy", "folds", *(key.replace(".", ".\n", 1) for key in space.keys))
    ranked = sorted(found, key=lambda trial: (trial.ended_early, trial.log_loss))
    for trial in dict.fromkeys([*(trial.number for trial in ranked[:_SHOWN]), 0]):
        one = found[trial]
        shown = [f"{(values | dict(one.overrides))[key]}" for key in space.keys]
        name = str(one.number) if one.number else "today"
        style = "bold" if one is best else ""
        table.add_row(name, f"{one.log_loss:.4f}", f"{one.accuracy:.4f}", str(len(one.scores)), *shown, style=style)
    print_table(table)
    early = sum(trial.ended_early for trial in found)
    typer.echo(f"{len(found) - 1} trials, {early} ended early.")
    for line in _lines(best, told):
        typer.echo(line)


def _lines(best: "Trial", told: Mapping[str, Any]) -> list[str]:
    if not told["run"]:
        return [f"{told['verdict'].capitalize()}."]
    by = {
        name: f"{name.replace('_', ' ')} {one['mean']:+.4f} (95 % interval {one['low']:+.4f} to {one['high']:+.4f})"
        for name, one in told["against_today"].items()
    }
    return [
        f"Trial {best.number} against today's parameters, on folds that the search did not use: {'; '.join(by.values())}.",
        f"It is {told['verdict']}" + ("." if "not " not in told["verdict"] else ": more images, or folds, would tell."),
        told["run"],
    ]
