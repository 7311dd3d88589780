"""`thaw run`."""

import difflib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from thaw.addresses import prefect_url
from thaw.cli import app
from thaw.cli.completion import complete_override, complete_stage
from thaw.cli.options import Compute
from thaw.errors import ThawError
from thaw.params.editing import check_overrides, parse_overrides
from thaw.project import find_root
from thaw.versioning import DvcRepo, choose_stages, read_stage_names


@app.command()
def run(
    only: Annotated[
        list[str] | None,
        typer.Option(help="Run this stage and no other; may be given again.", autocompletion=complete_stage),
    ] = None,
    from_stage: Annotated[
        str,
        typer.Option(
            "--from", help="Run this stage and all that depends on it.", autocompletion=complete_stage
        ),
    ] = "",
    force: Annotated[bool, typer.Option("--force", "-f", help="Run stages that are up to date too.")] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set-param",
            "-S",
            help="key=value: run with it.",
            autocompletion=complete_override,
        ),
    ] = None,
    apply: Annotated[
        bool,
        typer.Option(
            help="Write what -S says into params.yaml; or run in a copy of the project, which stays as it is."
        ),
    ] = True,
    name: Annotated[
        str, typer.Option(help="The run's name in MLflow; without one its result and parameters.")
    ] = "",
    compute: Compute = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would run and why, and change nothing.")
    ] = False,
    wait: Annotated[
        bool, typer.Option(help="Wait for a run of this project that is at work, or refuse.")
    ] = True,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the result, warnings and errors alone.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and nothing else on stdout.")
    ] = False,
) -> None:
    """Bring every stage that is out of date up to date, as a Prefect flow recorded in MLflow.

    [bold]Examples[/bold]

      thaw run
      thaw run -S fine_tune.learning_rate=5e-6 -S fine_tune.epochs=5
      thaw run -S fine_tune.learning_rate=5e-6 --no-apply
      thaw run --only evaluate --force
      thaw run --name "wider head" -S model.head=dense
      thaw run --from fine_tune --dry-run
      thaw run --compute ray://head:10001
    """
    root = find_root()
    only = only or []
    _check_stages(root, only, from_stage)
    changes = parse_overrides(overrides or [])
    values = check_overrides(root / "params.yaml", changes)
    if dry_run:
        forecast = _forecast(root, values, only, from_stage, force)
        _print_forecast(forecast, quiet, as_json)
        return
    parameters = {
        "only": only, "from_stage": from_stage, "force": force, "overrides": changes, "apply": apply, "name": name,
        "wait": wait
    }  # fmt: skip
    if compute:
        work_at(compute)
    flags = [flag for flag, given in (("--json", as_json), ("--quiet", quiet)) if given]
    execute_flow(root, ["run", json.dumps(parameters), *flags])


def work_at(place: str) -> None:
    """Have the stages work there: they are started with this environment."""
    from thaw.compute.choosing import PLACE, choose
    from thaw.params import ComputeParams

    choose(ComputeParams(), place)
    os.environ[PLACE] = place


def _check_stages(root: Path, only: Sequence[str], from_stage: str) -> None:
    """Tell a name that is no stage's before anything is loaded."""
    if only and from_stage:
        raise ThawError("--only and --from together", "Give one of them.")
    names = read_stage_names(root)
    for option, name in (*(("--only", name) for name in only), ("--from", from_stage)):
        if name and name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise ThawError(
                f"{option} {name}: no such stage in dvc.yaml", f"{hint}Stages: {', '.join(names)}."
            )


def _forecast(
    root: Path, values: Mapping[str, Any], only: Sequence[str], from_stage: str, force: bool
) -> dict[str, list[str]]:
    """Each stage that would be looked at to why it would run: nothing where it would not."""
    repo = DvcRepo(root)
    try:
        reasons = repo.reasons(values)
        chosen = choose_stages(repo, lambda name: bool(reasons[name]), only, from_stage)
    finally:
        repo.close()
    return {name: reasons[name] or ["--force"] * force for name in chosen}


def _print_forecast(forecast: Mapping[str, list[str]], quiet: bool, as_json: bool) -> None:
    if as_json:
        stages = [{"name": name, "runs": bool(why), "why": why} for name, why in forecast.items()]
        typer.echo(json.dumps({"stages": stages}, ensure_ascii=False, indent=2))
        return
    for name, why in forecast.items():
        if why:
            typer.echo("\n  ".join([f"{name} would run", *why]))
        elif not quiet:
            typer.echo(f"{name} is up to date")
    if any(forecast.values()) and not quiet:
        typer.echo("A result of the same inputs in DVC's cache is taken from there, unless --force is given.")


def execute_flow(root: Path, arguments: list[str]) -> None:
    """Become the flow's process: signals and the exit code are its own."""
    environment = flow_environment(root)
    os.chdir(root)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "flows", *arguments], environment)  # noqa: S606


def flow_environment(root: Path) -> dict[str, str]:
    """The environment of a flow: where its code is, and Prefect set so that nothing but the flow is waited for.

    Raises:
        ThawError: the project has no flow.
    """
    if not (root / "flows" / "__main__.py").exists():
        raise ThawError(f"{root}: no flows/ beside dvc.yaml", "Run thaw in a clone of its repository.")
    environment = {
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")]),
    }
    url = prefect_url(root)
    return {**environment, "PREFECT_API_URL": url} if url else environment
