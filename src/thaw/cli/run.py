"""`thaw run`."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from thaw.addresses import prefect_url
from thaw.cli import app
from thaw.errors import ThawError
from thaw.params import load_params
from thaw.params.editing import parse_overrides
from thaw.project import find_root


@app.command()
def run(
    only: Annotated[str | None, typer.Option(help="Run this stage and no other.")] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Run stages that are up to date too.")] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set-param", "-S", help="key=value: write it into params.yaml first."),
    ] = None,
    wait: Annotated[
        bool, typer.Option(help="Wait for a run of this project that is at work, or refuse.")
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and nothing else on stdout.")
    ] = False,
) -> None:
    """Bring every stage that is out of date up to date, as a Prefect flow recorded in MLflow.

    [bold]Examples[/bold]

      thaw run
      thaw run -S fine_tune.learning_rate=5e-6 -S fine_tune.epochs=5
      thaw run --only evaluate --force
    """
    root = find_root()
    load_params(root / "params.yaml")
    parameters = {"only": only, "force": force, "overrides": parse_overrides(overrides or []), "wait": wait}
    execute_flow(root, ["run", json.dumps(parameters), *(["--json"] if as_json else [])])


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
