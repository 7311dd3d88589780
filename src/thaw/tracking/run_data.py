"""What is recorded of a run, taken from the stages' inputs and outputs."""

import csv
import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from thaw.devices import machine_facts
from thaw.files import digest, read_json
from thaw.git import commit_of, is_dirty
from thaw.params import flatten
from thaw.project import project_name
from thaw.tracking.outbox import PIPELINE, Outbox

LOCK_TAG = "dvc.lock.sha256"
"""The digest of the `dvc.lock` that a run left."""
FILE_LIMIT_BYTES = 20 * 2**20
# These stay in the file of metrics; as metrics of a run they would hide the ones that are compared.
_DETAIL = frozenset({"interval", "intervals"})
_VALIDATION = "validation_"
_SHOWN = (".png", ".json", ".md", ".csv", ".html")


_BOOKS = ("dvc.lock", "params.yaml", "*.dvc", "reports/")
"""What a run writes, or tells elsewhere: an edit of it is no edit of the code."""


def describe_run(root: Path, home: Path) -> dict[str, str]:
    """Tags of a run: the project, the git commit, the hash of `dvc.lock`, the machine.

    Args:
        root: where it works: the project's folder, or a copy of it.
        home: the project's folder.
    """
    lock = root / "dvc.lock"
    tags = {f"machine.{key}": value for key, value in machine_facts().items()}
    tags |= {"project": project_name(home), "mlflow.source.name": "dvc.yaml", "mlflow.source.type": "LOCAL"}
    commit = commit_of(root)
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["git.dirty"] = str(is_dirty(root, _BOOKS)).lower()
    if lock.exists():
        tags[LOCK_TAG] = digest(lock)
    return tags


def fingerprint(root: Path, data_version: Mapping[str, str]) -> str:
    """What a run was started from: a killed run is gone on with only where this is the same."""
    text = (root / "params.yaml").read_bytes() + repr(sorted(data_version.items())).encode()
    return hashlib.sha256(text).hexdigest()


def record_outputs(
    outbox: Outbox, runs: Iterable[str], stage: str, outputs: Iterable[Path], metrics: Mapping[str, float]
) -> None:
    """Log a stage's outputs to runs: pictures and reports as files below its name, and its metrics.

    Pictures of the pipeline's run lie at the root of its artifacts: MLflow compares those of several runs side by side.

    Args:
        outputs: files, and folders of which the files directly within are logged. What is over 20 MiB is not.
        metrics: what the outputs say in numbers, see `result_metrics` and `audit_metrics`.
    """
    files = [file for path in outputs for file in ([path] if path.is_file() else sorted(path.glob("*")))]
    shown = [file for file in files if file.suffix in _SHOWN and file.stat().st_size <= FILE_LIMIT_BYTES]
    for run in runs:
        for file in shown:
            outbox.log_file(run, file, "" if run == PIPELINE and file.suffix == ".png" else stage)
        if metrics:
            outbox.log_metrics(run, metrics)


def record_findings(outbox: Outbox, run: str, findings_path: Path, each: bool = False) -> None:
    """Log the gate's findings: how many images there are, how many are fit, and how many findings of each severity.

    Args:
        each: log a count for each check that found something too. Runs that are compared would differ in which they have.
    """
    findings = read_json(findings_path)
    totals = {name: value for name, value in findings.get("totals", {}).items() if isinstance(value, int)}
    counts = totals | findings["severities"] | (findings["checks"] if each else {})
    outbox.log_metrics(run, {f"validate/{name}": float(value) for name, value in counts.items()})


def curve_metrics(values: Mapping[str, float]) -> dict[str, float]:
    """An epoch's metrics as a run has them: `accuracy` is `train/accuracy`, `validation_accuracy` `validation/accuracy`."""
    return {
        f"validation/{name.removeprefix(_VALIDATION)}" if name.startswith(_VALIDATION) else f"train/{name}": value
        for name, value in values.items()
    }


def record_curve(outbox: Outbox, run: str, curve_path: Path, first_step: int) -> None:
    """Log a learning curve that an earlier run trained: a row an epoch, on the axis that continues at `first_step`."""
    last = outbox.last_step(run)
    for row in _read_curve(curve_path):
        step = first_step + int(float(row["epoch"]))
        values = {name: float(value) for name, value in row.items() if name != "epoch" and _is_number(value)}
        if step > last:
            outbox.log_metrics(run, curve_metrics(values), step)


def epochs_before(specs: Iterable[Any], stage: str) -> int:
    """How many epochs the stages before `stage` trained: where its own go on, on one axis for all phases.

    Args:
        specs: the stages in order (`thaw.versioning.StageSpec`).
    """
    before = itertools.takewhile(lambda spec: spec.name != stage, specs)
    return sum(len(_read_curve(path)) for spec in before for path in spec.curves)


def _read_curve(path: Path) -> list[dict[str, str]]:
    """The rows of a table with a column `epoch`; none of any other."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return list(reader) if "epoch" in (reader.fieldnames or []) else []


def result_metrics(path: Path) -> dict[str, float]:
    """The finite numbers of a file of metrics, as a run has them.

    `test/accuracy`, with `test/accuracy_low` and `_high` as the ends of its interval; what is nested has a section of its own
    by its first key (`test_slices/type.mono.accuracy`), without intervals.
    """
    values = read_json(path)
    flat = {name: value for name, value in flatten(values).items() if not _DETAIL.intersection(name.split("."))}
    named = {
        f"test_{name.replace('.', '/', 1)}" if isinstance(values.get(name.split(".")[0]), dict) else f"test/{name}": value
        for name, value in flat.items()
    }
    intervals = values.get("interval", {})
    ends = {f"test/{name}_{end}": value for name, both in intervals.items() for end, value in both.items()}
    return {name: float(value) for name, value in (named | ends).items() if _is_finite(value)}


def audit_metrics(path: Path) -> dict[str, float]:
    """What `audit.json` says over its folds, as a run has it: `train_audit/accuracy` with `_sd`, `_low` and `_high`.

    MLflow shows a run's sections by name, and what is said of training images is not to stand before the test's.
    """
    return {
        f"train_audit/{name}{'' if part == 'mean' else f'_{part}'}": float(value)
        for name, parts in read_json(path).items()
        if isinstance(parts, dict) and "mean" in parts
        for part, value in parts.items()
        if _is_finite(value)
    }


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
