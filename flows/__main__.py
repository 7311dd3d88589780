"""`python -m flows run|serve|seeds JSON`: what `thaw run`, `thaw deploy` and `thaw seeds` start."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from flows.console import showing_stages
from flows.ending import run_pipeline
from flows.processes import StageFailed, StageKilled
from flows.results import Outcome, Standing, describe_outdated, result_rows
from flows.run import find_standing_run, shipment_of
from flows.server import Server, use_named_server
from flows.summary import summarize_run
from thaw import telemetry
from thaw.errors import exiting_with_message
from thaw.project import find_root
from thaw.redaction import hide_in_logs, redact
from thaw.versioning import preload


def main() -> None:
    """Run or serve the flow. Exit code 0: done; 2: for the user to mend; 1: a failure; 130, 143: ended by a signal."""
    telemetry.switch_off()
    telemetry.bypass_proxy_for_loopback()
    hide_in_logs()
    signal.signal(signal.SIGTERM, _end)
    command, parameters, *flags = sys.argv[1:]
    values = json.loads(parameters)
    try:
        with exiting_with_message():
            if command == "serve":
                from flows.serving import serve

                serve(find_root(), **values)
            elif command == "seeds":
                from flows.seeds import run_seeds

                with _telling_of_stages():
                    run_seeds(find_root(), **values)
            else:
                _run_and_tell(values, "--json" in flags, "--quiet" in flags)
    except KeyboardInterrupt:
        sys.exit(130)


def _run_and_tell(values: dict[str, Any], as_json: bool, quiet: bool) -> None:
    if quiet:
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "WARNING"
    with _telling_of_stages():
        _run(values, as_json, quiet)


@contextlib.contextmanager
def _telling_of_stages() -> Iterator[None]:
    """End with the words of a stage that failed, or was killed."""
    try:
        yield
    except (StageFailed, StageKilled) as error:
        print(redact(f"error: {error}"), file=sys.stderr)
        sys.exit(1)


def _end(_signal: int, _frame: Any) -> None:
    sys.exit(143)


def _run(values: dict[str, Any], as_json: bool, quiet: bool) -> None:
    root = find_root()
    if not values.pop("wait"):
        os.environ["THAW_NO_WAIT"] = "1"
    if not any(values[name] for name in ("only", "from_stage", "force", "overrides", "name")):
        run_id = find_standing_run(root)
        if run_id:
            if not as_json and not quiet:
                print("Nothing to do: every stage is up to date. (--force runs them all the same.)")
            _show(Outcome(run_id, standing=Standing.of(root)), as_json, quiet)
            return
    before = Standing.of(root)
    with showing_stages(quiet):
        # Prefect's server takes ten seconds to start: meanwhile the shipper loads MLflow, and this process Prefect and DVC.
        server = None if use_named_server() else Server()
        shipment_of(root)
        import flows.pipeline  # noqa: F401

        preload()
        if server:
            server.wait_until_up()
        outcome = run_pipeline(**values)
    _show(outcome, as_json, quiet)
    if not as_json and not quiet and not outcome.outdated:
        print("\n".join(summarize_run(root, before, outcome)))


def _show(outcome: Outcome, as_json: bool, quiet: bool) -> None:
    """Print the result, if there is one of this run."""
    if as_json:
        shown = {"run_id": outcome.run_id, "metrics": outcome.metrics, "outdated": list(outcome.outdated)}
        print(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    if outcome.outdated:
        print(describe_outdated(outcome.outdated))
        return
    from rich.table import Table

    from thaw.cli.console import print_table

    print("Result on the held-out test split")
    table = Table("metric", "test", "interval")
    for row in result_rows(outcome.metrics):
        table.add_row(*row)
    print_table(table)


if __name__ == "__main__":
    main()
