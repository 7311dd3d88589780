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
from thaw.tracking.outbox import Outbox

LOCK_TAG = "dvc.lock.sha256"
"""The digest of the `dvc.lock` that a run left."""
_FILE_LIMIT_BYTES = 20 * 2**20
# These stay in the file of metrics; as metrics of a run they would hide the ones that are compared.
_DETAIL = frozenset({"interval", "intervals"})
_SHOWN = (".png", ".json", ".md", ".csv", ".html")


def describe_run(root: Path) -> dict[str, str]:
    """Tags of a run: the git commit, the hash of `dvc.lock`, the machine."""
    lock = root / "dvc.lock"
    tags = {f"machine.{key}": value for key, value in machine_facts().items()}
    tags |= {"mlflow.source.name": "dvc.yaml", "mlflow.source.type": "LOCAL"}
    commit = commit_of(root)
    if commit:
        tags["mlflow.source.git.commit"] = commit
        tags["git.dirty"] = str(is_dirty(root)).lower()
    if lock.exists():
        tags[LOCK_TAG] = digest(lock)
    return tags


def fingerprint(root: Path, data_version: Mapping[str, str]) -> str:
    """What a run was started from: a killed run is gone on with only where this is the same."""
    text = (root / "params.yaml").read_bytes() + repr(sorted(data_version.items())).encode()
    return hashlib.sha256(text).hexdigest()


def record_outputs(
    outbox: Outbox, runs: Iterable[str], stage: str, outputs: Iterable[Path], metrics: Iterable[Path]
) -> None:
    """Log a stage's outputs to runs: pictures and reports as files below its name, metric files as metrics.

    Args:
        outputs: files, and folders of which the files directly within are logged. What is over 20 MiB is not.
        metrics: those of the files that hold metrics of the test split (JSON); they are logged as `test.<name>`.
    """
    files = [file for path in outputs for file in ([path] if path.is_file() else sorted(path.glob("*")))]
    shown = [file for file in files if file.suffix in _SHOWN and file.stat().st_size <= _FILE_LIMIT_BYTES]
    values = {name: value for path in metrics for name, value in _numbers(path).items()}
    for run in runs:
        for file in shown:
            outbox.log_file(run, file, stage)
        if values:
            outbox.log_metrics(run, values)


def record_findings(outbox: Outbox, runs: Iterable[str], findings_path: Path) -> None:
    """Log the gate's findings: a count for each check, and the page to look at."""
    findings = read_json(findings_path)
    counts = {
        f"findings.{name}": value for name, value in (findings["severities"] | findings["checks"]).items()
    }
    page = findings_path.with_name("gate.html")
    for run in runs:
        outbox.log_metrics(run, {name: float(value) for name, value in counts.items()})
        if page.exists() and page.stat().st_size <= _FILE_LIMIT_BYTES:
            outbox.log_file(run, page, "validate")


def record_curve(outbox: Outbox, run: str, curve_path: Path, first_step: int) -> None:
    """Log a learning curve that an earlier run trained: a row an epoch, on the axis that continues at `first_step`."""
    last = outbox.last_step(run)
    for row in _read_curve(curve_path):
        step = first_step + int(float(row["epoch"]))
        values = {name: float(value) for name, value in row.items() if name != "epoch" and _is_number(value)}
        if step > last:
            outbox.log_metrics(run, values, step)


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


def _numbers(path: Path) -> dict[str, float]:
    flat = {
        name: value
        for name, value in flatten(read_json(path)).items()
        if not _DETAIL.intersection(name.split("."))
    }
    numeric = {
        name: value
        for name, value in flat.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return {f"test.{name}": float(value) for name, value in numeric.items() if math.isfinite(value)}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
