"""What MLflow shows of a run at first: a name that people can read, and the description on top of its page."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thaw.params import Params
from thaw.tracking.names import DATA_TAG

NAME_TAG = "thaw.name"
"""The name that a person, or DVC's experiment, gave the run."""
FAILURE_TAG = "failure"
"""Why a run failed, in one sentence."""
FAILED_STAGE_TAG = "failure.stage"
"""The stage in which it failed; empty outside of stages."""
_ACCURACY = "accuracy"
_NAMED = ("model.architecture", "fine_tune.learning_rate", "fine_tune.epochs")
# What a change of them does no more than repeat, or does not change the result.
_SILENT = ("compute.", "validate.")
_MOST_IN_NAME, _MOST_IN_TEXT = 5, 12
_SHORT = {"learning_rate": "lr", "architecture": ""}
_PERSONAL_SECTIONS = frozenset({"train_frozen"})

Run = Mapping[str, Any]
"""As `Store.pipeline_runs` gives it."""


@dataclass(frozen=True)
class Summary:
    """A run in a few words."""

    name: str
    description: str
    """Markdown."""


def accuracy_of(run: Run, end: str = "") -> float | None:
    """The test accuracy, or with `_low` or `_high` an end of its interval; also of runs that an earlier version logged."""
    metrics = run["metrics"]
    value = metrics.get(f"test/{_ACCURACY}{end}", metrics.get(f"test.{_ACCURACY}{end}"))
    return None if value is None else float(value)


def differing_params(runs: Sequence[Run]) -> list[str]:
    """The parameters that have not one value in all of the runs; those that change no result last."""
    keys = sorted({key for run in runs for key in run["params"]})
    differing = [key for key in keys if len({param_of(run, key) for run in runs}) > 1]
    return sorted(differing, key=lambda key: key.startswith(_SILENT))


@functools.cache
def _gate_defaults() -> dict[str, str]:
    """The gate's settings as they are by default: a run does not show them, or they would stand before all else."""
    return {name: str(value) for name, value in Params().flat(["validate"]).items()}


def default_gate(params: Mapping[str, Any]) -> list[str]:
    """Those of `params` that are settings of the gate and stand at their default."""
    return [name for name, value in params.items() if _gate_defaults().get(name) == str(value)]


def param_of(run: Run, key: str) -> str | None:
    """A parameter's value in a run, of a setting of the gate that it does not show the default; None where there is none."""
    value = run["params"].get(key, _gate_defaults().get(key))
    return None if value is None else str(value)


def summarize(run: Run, earlier: Sequence[Run]) -> Summary:
    """Tell a run by the runs before it.

    Args:
        earlier: runs of the project that began before this one, newest first.
    """
    others = told_by(earlier)
    before = others[0] if others else None
    # What a part of the pipeline does not read, and data that were not booked, it says nothing of.
    changed = [key for key in differing_params([before, run]) if param_of(run, key) is not None] if before else []
    lines = [
        # Broken within one paragraph: on a narrow page MLflow shows the description low.
        "  \n".join(filter(None, [_result(run, others), _changes(run, before, changed) if before else ""])),
        _stages(run),
        _again(run) if run["status"] == "FINISHED" else "",
    ]
    return Summary(_name(run, changed), "\n\n".join(line for line in lines if line))


def _name(run: Run, changed: Sequence[str]) -> str:
    accuracy = accuracy_of(run)
    if run["tags"].get(NAME_TAG):
        return str(run["tags"][NAME_TAG])
    if run["status"] == "FINISHED" and accuracy is None:
        return str(run["name"])
    beginning = f"{accuracy:.3f}" if accuracy is not None else str(run["status"]).lower()
    loud = [key for key in changed if not key.startswith(_SILENT)]
    keys = [key for key in dict.fromkeys([*loud, *_NAMED]) if run["params"].get(key)]
    return " ".join([beginning, *(_short(key, run["params"][key]) for key in keys[:_MOST_IN_NAME])])


def _short(key: str, value: str) -> str:
    """`fine_tune.learning_rate`, 0.0005: `lr=5e-4`."""
    section, _, leaf = key.rpartition(".")
    name = _SHORT.get(leaf, leaf)
    if not name:
        return value.removeprefix("efficientnet_")
    prefix = "frozen_" if section in _PERSONAL_SECTIONS else ""
    return f"{prefix}{name}={_short_number(value)}"


def _short_number(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value[:24]
    if number == 0 or abs(number) >= 0.01:
        return f"{number:g}"
    mantissa, exponent = f"{number:.3e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def told_by(earlier: Sequence[Run]) -> list[Run]:
    """The runs that a run is told by: the one before it that has a result, and the best, where that is another.

    Args:
        earlier: as for `summarize`.
    """
    judged = [other for other in earlier if accuracy_of(other) is not None]
    best = max(judged, key=lambda other: accuracy_of(other) or 0.0, default=None)
    return judged[:1] + [other for other in judged[1:] if other is best]


def _result(run: Run, others: Sequence[Run]) -> str:
    if run["status"] == "FAILED":
        stage = run["tags"].get(FAILED_STAGE_TAG)
        where = f" in {_code(stage)}" if stage else ""
        return f"**Failed{where}:** {_code(run['tags'].get(FAILURE_TAG, 'see the log'))}"
    accuracy = accuracy_of(run)
    if accuracy is None:
        return "**No result:** this run did not come to the test split."
    low, high = accuracy_of(run, "_low"), accuracy_of(run, "_high")
    interval = f", interval {low:.3f} to {high:.3f}" if low is not None and high is not None else ""
    lines = [f"**Test accuracy {accuracy:.3f}**{interval}"]
    for other, role in zip(others, ("the run before", "the best before"), strict=False):
        lines.append(_difference(run, other, f"{role} ({_which(other)})"))
    return "; ".join(lines)


def _difference(run: Run, other: Run, name: str) -> str:
    """How the accuracies compare; `name` is the other's."""
    own, theirs = accuracy_of(run) or 0.0, accuracy_of(other) or 0.0
    low, high = accuracy_of(other, "_low"), accuracy_of(other, "_high")
    within = low is not None and high is not None and low <= own <= high
    if own == theirs:
        return f"the same as {name}"
    words = f"{abs(own - theirs):.3f} {'higher' if own > theirs else 'lower'}"
    return f"{words} than {name}" + (", within its interval" if within else "")


def _which(run: Run) -> str:
    """By its number, which is short; a run of an earlier version by its name."""
    return f"run {run['number']}" if run["number"] else _code(run["name"])


def _changes(run: Run, before: Run, changed: Sequence[str]) -> str:
    """What differs from the run before: parameters, data, code."""
    told = [f"{_code(key)} {_value(param_of(before, key))} → {_value(param_of(run, key))}" for key in changed[:_MOST_IN_TEXT]]
    if len(changed) > _MOST_IN_TEXT:
        told.append(f"{len(changed) - _MOST_IN_TEXT} more parameters")
    for key in sorted(key for key in run["tags"] if key.startswith(DATA_TAG)):
        versions = [str(tags.get(key, ""))[:8] for tags in (before["tags"], run["tags"])]
        if before["tags"].get(key) != run["tags"][key]:
            told.append(f"data {_code(key.removeprefix(DATA_TAG))} {_value(versions[0])} → {_value(versions[1])}")
    if before.get("commit") != run.get("commit"):
        told.append(f"code {_value(before.get('commit', '')[:8])} → {_value(run.get('commit', '')[:8])}")
    if run["tags"].get("git.dirty") == "true":
        told.append("files that Git has not committed (kept as `reproduce/code.patch`)")
    return f"**Changed:** {'; '.join(told) if told else 'nothing'}"


def _value(value: str | None) -> str:
    return _code(value) if value else "none"


def _stages(run: Run) -> str:
    """Which stages ran, and which were taken as they were."""
    stages = {key.removeprefix("stage."): value for key, value in run["tags"].items() if key.startswith("stage.")}
    ran = [name for name, outcome in stages.items() if outcome == "ran"]
    rest = [name for name, outcome in stages.items() if outcome != "ran"]
    told = [("Ran", ran), ("Up to date before", rest)]
    return " · ".join(f"**{title}:** {', '.join(map(_code, names))}" for title, names in told if names)


def _again(run: Run) -> str:
    if not run["number"]:
        return ""
    model = f"thaw predict IMAGES --run {run['run_id'][:8]}"
    return f"**Have it again:** `thaw restore {run['number']}` · **use its model:** `{model}`"


def _code(text: object) -> str:
    """Any text as Markdown shows it, word for word: within it nothing is markup."""
    line = " ".join(str(text).split()) or " "
    ticks = max((len(found) for found in re.findall(r"`+", line)), default=0) + 1
    space = " " if "`" in line else ""
    return f"{'`' * ticks}{space}{line}{space}{'`' * ticks}"

