"""The six lines that end a run on the terminal: result, how sure, what changed, what ran, the report, where to compare."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.results import Outcome, Standing
from thaw.redaction import redact
from thaw.versioning.lock_file import Booked, changes_between

_TEST_SPLIT = "data/splits/test.csv"
_SHOWN_CHANGES = 6
_WORDS = {"ran": "ran", "restored": "from the cache", "unchanged": "unchanged"}


def summarize_run(root: Path, before: Standing, outcome: Outcome) -> list[str]:
    """The lines, of a run that ended well and left nothing out of date that its metrics come from."""
    after = outcome.standing or before
    lines = [
        f"Result    {_result(before, after)}",
        f"Audit     {_audit(outcome, after.audit)}",
        f"Changed   {_changes(before.books, after.books)}",
        f"Stages    {_stages(outcome)}; {_duration(time.monotonic() - before.seconds)}",
        f"Report    {_report(root, outcome)}",
        f"Compare   {outcome.link or '`thaw ui`, `thaw runs`'}",
    ]
    return [redact(line) for line in lines]


def _report(root: Path, outcome: Outcome) -> str:
    if outcome.in_copy:
        return "in MLflow; `thaw restore` brings it here, with all that this run made"
    report = root / "reports" / "index.html"
    fresh = report.exists() and outcome.stages.get("report") is not None
    return str(report) if fresh else "not made anew: `thaw run` makes it"


def _result(before: Standing, after: Standing) -> str:
    accuracy, former = after.metrics.get("accuracy"), before.metrics.get("accuracy")
    if not isinstance(accuracy, int | float):
        return "reports/metrics.json"
    text = f"accuracy {accuracy:.4f} on {after.metrics.get('images')} test images"
    interval = after.metrics.get("interval", {}).get("accuracy")
    if interval:
        coverage = 100 * after.metrics["intervals"]["coverage"]
        text += f", {coverage:g} % interval {interval['low']:.4f} to {interval['high']:.4f}"
    if isinstance(former, int | float):
        other = before.books.made.get(_TEST_SPLIT) != after.books.made.get(_TEST_SPLIT)
        text += f"; before: {former:.4f}" + (" on another test split" if other else f" ({accuracy - former:+.4f})")
    return text


def _audit(outcome: Outcome, facts: Mapping[str, Any]) -> str:
    """What heads reach on images of training and validation that they have not seen."""
    if outcome.stages.get("audit") is None:
        return "not made anew: `thaw run` makes it"
    if not facts.get("folds"):
        return f"none: {facts.get('reason', 'reports/audit.json')}"
    mean, sd = facts["accuracy"]["mean"], facts["accuracy"]["sd"]
    return f"heads reach {mean:.4f} \u00b1 {sd:.4f} out of fold, in {facts['folds']} folds of {facts['images']} images"


def _changes(before: Booked, after: Booked) -> str:
    if not before.params:
        return "this is the first run that dvc.lock knows"
    changes = changes_between(before, after)
    more = f"; and {len(changes) - _SHOWN_CHANGES} more" if len(changes) > _SHOWN_CHANGES else ""
    return ("; ".join(changes[:_SHOWN_CHANGES]) or "nothing since the run before") + more


def _stages(outcome: Outcome) -> str:
    by_outcome = {word: [name for name, came in outcome.stages.items() if came == key] for key, word in _WORDS.items()}
    return "; ".join(f"{', '.join(names)} {word}" for word, names in by_outcome.items() if names) or "none"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
