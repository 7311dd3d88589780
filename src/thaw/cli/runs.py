"""`thaw runs`: the pipeline runs that MLflow holds."""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thaw.addresses import prefect_url
from thaw.cli import app
from thaw.cli.completion import complete_run
from thaw.cli.console import print_table, stdout_console
from thaw.errors import ThawError
from thaw.files import digest
from thaw.params import load_params
from thaw.params.editing import parse_overrides
from thaw.prefect_pages import find_deployment, form_page, server_pages
from thaw.progress import showing
from thaw.project import find_root, home_dir

if TYPE_CHECKING:
    from thaw.tracking.store import Store

_ANSWER_SECONDS = "8"
_NAME_WIDTH = 24
_FIXED_WIDTH = 76
_PARAM_WIDTH = 16


@app.command()
def runs(
    run: Annotated[
        str,
        typer.Argument(
            help="One run: its number, the beginning of its id, or its name.", autocompletion=complete_run, show_default=False
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """List pipeline runs, newest first, with number, accuracy and the parameters in which they differ.

    Of one run: the parameters that are others in params.yaml now, and how to run again with its own, from here or by Prefect's
    form, filled in.

    [bold]Examples[/bold]

      thaw runs
      thaw runs 3
      thaw runs -n 3 --json
    """
    from thaw.tracking.finding import find_run
    from thaw.tracking.links import pages_url, runs_page

    root = find_root()
    with open_store(root) as store:
        found = [find_run(store.pipeline_runs(), run)] if run else store.pipeline_runs(limit)
    here = _runs_here(root, found)
    if as_json:
        form = _Form(root)
        shown = [{**item, "here": item["run_id"] in here, "run_again": form.page(item)} for item in found]
        print(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    _print_runs(found, here)
    if run:
        _tell_again(found[0], _Form(root))
    elif found:
        print(f"Compare them: {runs_page(pages_url(root), store.experiment_id)} (`thaw ui` serves it)")


class _Form:
    """Prefect's form of this project, as it is filled in to run again with the parameters of a run."""

    def __init__(self, root: Path) -> None:
        self._root = root
        home = home_dir(root)
        api_url = prefect_url(home)
        self._base = server_pages(api_url)
        self._deployment_id = find_deployment(home, api_url) if api_url else ""

    @cached_property
    def now(self) -> dict[str, Any]:
        """The project's parameters, less those that change no result."""
        params = load_params(self._root / "params.yaml")
        return params.flat(key for key in params.sections() if key != "compute")

    def changes_to(self, run: dict[str, Any]) -> dict[str, Any]:
        """The parameters that were others in a run than they are here now, with the run's values."""
        from thaw.tracking.summary import param_of

        then = {key: param_of(run, key) for key in self.now}
        differing = [key for key, value in self.now.items() if then[key] not in (None, str(value))]
        return parse_overrides([f"{key}={then[key]}" for key in differing])

    def page(self, run: dict[str, Any]) -> str:
        """Where the form is, filled in; empty while no server of Prefect's that is up knows the project."""
        return form_page(self._base, self._deployment_id, self.changes_to(run)) if self._deployment_id else ""


def _tell_again(run: dict[str, Any], form: _Form) -> None:
    changes = form.changes_to(run)
    for key, value in changes.items():
        print(f"{key}: {value} then, {form.now[key]} now")
    options = "".join(f" -S {shlex.quote(f'{key}={value}')}" for key, value in changes.items())
    print(f"Run again with its parameters: thaw run --no-apply{options}")
    print(f"  or in Prefect's form: {form.page(run) or '`thaw ui` and `thaw deploy` have to be at work'}")
    if run["number"]:
        print(f"Bring it back: thaw restore {run['number']}")


@contextmanager
def open_store(root: Path) -> "Iterator[Store]":
    """MLflow's store, asked once and not for minutes.

    Raises:
        ThawError: it cannot be asked, or it does not answer within the block.
    """
    from thaw.tracking.address import tracking_uri, without_credentials

    home = home_dir(root)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", _ANSWER_SECONDS)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    try:
        with showing("asking MLflow"):
            from thaw.tracking.store import Store

            yield Store(home)
    except ThawError:
        raise
    except Exception as error:  # MLflow and its stores raise many kinds
        uri = without_credentials(tracking_uri(home))
        reason = (str(error) or type(error).__name__).splitlines()[0].replace(tracking_uri(home), uri)
        raise ThawError(f"MLflow at {uri}: {reason[:300]}", _cure(reason)) from None


def _runs_here(root: Path, found: list[dict[str, Any]]) -> set[str]:
    """The ids of the runs that left `dvc.lock` as it is now."""
    from thaw.tracking.run_data import LOCK_TAG

    lock = root / "dvc.lock"
    now = digest(lock) if lock.exists() else ""
    return {run["run_id"] for run in found if run["status"] == "FINISHED" and run["tags"].get(LOCK_TAG) == now}


def _cure(reason: str) -> str:
    text = reason.lower()
    if "schema" in text or "revision" in text:
        return "Back the database up and run `mlflow db upgrade` on it, or use the release of MLflow that made it."
    if "401" in text or "403" in text or "unauthenticated" in text or "permission" in text:
        return "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
    return "Start the server, or set MLFLOW_TRACKING_URI; unset, runs are kept in this project's mlruns."


def _print_runs(found: list[dict[str, Any]], here: set[str]) -> None:
    from datetime import datetime

    from rich.markup import escape
    from rich.table import Table

    from thaw.tracking.summary import accuracy_of, differing_params

    if not found:
        print("No runs yet. `thaw run` makes the first.")
        return
    width = stdout_console().width
    differing = differing_params(found)
    # What does not fit stands in --json.
    shown = differing[: max(1, (width - _FIXED_WIDTH) // _PARAM_WIDTH)]
    headings = [escape(key.replace(".", ".\n", 1)) for key in shown]
    table = Table("", "run", "name", "started", "accuracy", "ran", *headings, box=None, padding=(0, 2, 0, 0))
    for column in (*table.columns[:5], *table.columns[6:]):
        column.no_wrap = True
    table.columns[0].justify = "right"
    table.columns[2].max_width = _NAME_WIDTH
    for item in found:
        accuracy = accuracy_of(item)
        table.add_row(
            f"{'*' if item['run_id'] in here else ''}{item['number'] or ''}",
            item["run_id"][:8],
            escape(item["name"]),
            f"{datetime.fromtimestamp(item['start_ms'] / 1000):%m-%d %H:%M}",
            "" if accuracy is None else f"{accuracy:.4f}",
            _tell_stages(item),
            *(escape(item["params"].get(key, "")) for key in shown),
        )
    print_table(table)
    if here:
        print("* dvc.lock is as this run left it. `thaw restore NUMBER` brings another run back.")
    for item in reversed(found):
        if item["status"] == "FAILED" and item["tags"].get("failure"):
            label = item["number"] or item["run_id"][:8]
            print(f"{label} failed: {item['tags']['failure']}")
    if len(shown) < len(differing):
        print(f"They differ in {len(differing) - len(shown)} more parameters: --json shows all.")


def _tell_stages(run: dict[str, Any]) -> str:
    """Which stages ran, and how the run ended where it did not end well."""
    stages = {
        key.removeprefix("stage."): value for key, value in run["tags"].items() if key.startswith("stage.")
    }
    ran = [name for name, outcome in stages.items() if outcome == "ran"]
    text = "all" if ran and len(ran) == len(stages) else ", ".join(ran) or "nothing"
    return text if run["status"] == "FINISHED" else f"{run['status']}; {text}"
