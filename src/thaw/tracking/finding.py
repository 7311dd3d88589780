"""Which run a person means."""

from collections.abc import Sequence
from typing import Any

from thaw.errors import ThawError

_SHOWN = 10


def find_run(runs: Sequence[dict[str, Any]], text: str) -> dict[str, Any]:
    """The pipeline run that is meant: by its number, else by the beginning of its id, else by its name.

    Args:
        runs: all of them (`Store.pipeline_runs`).

    Raises:
        ThawError: none is, or several are.
    """
    fits = [
        [run for run in runs if run["number"] and str(run["number"]) == text],
        [run for run in runs if run["run_id"].startswith(text)],
        [run for run in runs if run["name"] == text],
    ]
    found = next((some for some in fits if some), [])
    if len(found) == 1:
        return found[0]
    if not found:
        raise ThawError(
            f"{text}: no pipeline run of this project has this number, an id that begins so, or this name",
            "`thaw runs` lists the runs.",
        )
    shown = ", ".join(f"{run['run_id'][:12]} ({run['name']})" for run in found[:_SHOWN])
    raise ThawError(f"{text}: {len(found)} runs are called so: {shown}", "Give the beginning of an id.")
