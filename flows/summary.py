"""The five lines that end a run on the terminal: result, what changed, what ran, the report, where to compare."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.results import Outcome
from thaw.files import read_json
from thaw.redaction import redact
from thaw.versioning.lock_file import Booked, changes_between, read_lock_file

_TEST_SPLIT = "data/splits/test.csv"
_SHOWN_CHANGES = 6
_WORDS = {"ran": "ran", "restored": "from the cache", "unchanged": "unchanged"}


@dataclass(frozen=True)
class Standing:
    """What a project says of itself at one moment: taken before a run, to tell what the run changed."""

    books: Booked
    metrics: dict[str, Any]
    """The content of `metrics.json`; empty where there is none."""
    seconds: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, root: Path) -> "Standing":
        """Read it. A file that is no JSON counts as none: the run makes it anew."""
        try:
            metrics = read_json(root / "reports" / "metrics.json")
        except (OSError, ValueError):
            metrics = {}
        return cls(read_lock_file(root), metrics if isinstance(metrics, dict) else {})


def summarize_run(root: Path, before: Standing, outcome: Outcome) -> list[str]:
    """The five lines, of a run that ended well and left nothing out of date that its metrics come from."""
    after = Standing.of(root)
    report = root / "reports" / "index.html"
    fresh = report.exists() and outcome.stages.get("report") is not None
    lines = [
        f"Result    {_result(before, after)}",
        f"Changed   {_changes(before.books, after.books)}",
        f"Stages    {_stages(outcome)}; {_duration(after.seconds - before.seconds)}",
        f"Report    {report if fresh else 'not made anew: `thaw run` makes it'}",
        f"Compare   {outcome.link or '`thaw ui`, `thaw runs`'}",
    ]
    return [redact(line) for line in lines]


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
