"""What a run shows at its end: a table of test metrics, and where to look further."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thaw.files import read_json
from thaw.params import flatten
from thaw.tracking.links import comparison_page, pages_url, run_page
from thaw.versioning.lock_file import Booked, read_lock_file


@dataclass(frozen=True)
class Standing:
    """What a project, or a copy that a run works in, says of itself at one moment."""

    books: Booked
    metrics: Mapping[str, Any]
    """The content of `metrics.json`; empty where there is none."""
    audit: Mapping[str, Any] = field(default_factory=dict)
    """The content of `audit.json`, likewise."""
    seconds: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, root: Path) -> "Standing":
        """Read it. A file that is no JSON counts as none: the run makes it anew."""
        reports = root / "reports"
        return cls(read_lock_file(root), _read_facts(reports / "metrics.json"), _read_facts(reports / "audit.json"))


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = read_json(path)
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


@dataclass(frozen=True)
class Outcome:
    """How a run of the pipeline ended."""

    run_id: str
    """MLflow's; empty while tracking is down."""
    outdated: Sequence[str] = ()
    """The stages that are out of date all the same: what `reports` hold is then no result of this run."""
    standing: Standing | None = None
    """Where the run worked, as it left it."""
    stages: Mapping[str, str] = field(default_factory=dict)
    """What each stage that was looked at came to: `ran`, `restored` or `unchanged`."""
    link: str = ""
    """Where MLflow's pages show all runs side by side."""
    in_copy: bool = False
    """Whether it worked in a copy of the project, which is gone, and left the project as it was."""

    @property
    def metrics(self) -> Mapping[str, Any] | None:
        """Of the test split, as `metrics.json` has them; None where there is no result of this run."""
        return self.standing.metrics or None if self.standing and not self.outdated else None


def describe_outdated(stages: Sequence[str]) -> str:
    """Why there is no result to show; empty where every stage is up to date."""
    if not stages:
        return ""
    verb = "is" if len(stages) == 1 else "are"
    return f"No result of this run: {', '.join(stages)} {verb} out of date. `thaw run` brings all up to date."


def result_rows(metrics: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """Metric, value and interval of each headline metric."""
    values = flatten(metrics or {})
    return [
        (name, _number(value), _interval(values, name))
        for name, value in values.items()
        if "." not in name and isinstance(value, int | float)
    ]


def result_table(metrics: Mapping[str, Any] | None) -> str:
    """The headline metrics as a Markdown table."""
    rows = result_rows(metrics)
    lines = [f"| {name} | {value} | {interval} |" for name, value, interval in rows]
    return "\n".join(["| metric | test | interval |", "|---|---|---|", *lines]) if rows else "No metrics yet."


def gate_summary(spec: Any) -> str:
    """The gate's report, where the stage writes one."""
    path = spec.outputs.get("gate_path")
    return path.read_text(encoding="utf-8") if path and path.exists() else ""


def compare_link(root: Path, run_ids: dict[str, str]) -> str:
    """Where MLflow's pages show what differs from the run before and the best; empty while MLflow does not have this one."""
    return comparison_page(pages_url(root), run_ids["experiment"]) if "pipeline" in run_ids else ""


def describe_links(root: Path, run_ids: dict[str, str]) -> list[str]:
    """Where MLflow's pages show the run, and all runs, a line each."""
    if "pipeline" not in run_ids:
        return ["MLflow does not have this run yet."]
    run = run_page(pages_url(root), run_ids["experiment"], run_ids["pipeline"])
    return [f"MLflow run: {run}", f"Compare runs: {compare_link(root, run_ids)} (`thaw ui` serves both)"]


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _interval(values: dict[str, Any], name: str) -> str:
    low, high = values.get(f"interval.{name}.low"), values.get(f"interval.{name}.high")
    return f"{low:.4f} to {high:.4f}" if isinstance(low, float) and isinstance(high, float) else ""
