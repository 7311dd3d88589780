"""What a run of the pipeline logs of its stages: the same whether `thaw run` or DVC runs them."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thaw.errors import ThawError
from thaw.files import digest, read_json
from thaw.redaction import redact
from thaw.tracking import gate_pages, run_data
from thaw.tracking.datasets import describe_splits, split_paths
from thaw.tracking.names import DATA_TAG
from thaw.tracking.outbox import PIPELINE, Outbox
from thaw.tracking.registry import ACCURACY_TAG
from thaw.tracking.run_data import LOCK_TAG
from thaw.tracking.summary import FAILED_STAGE_TAG, FAILURE_TAG

EXPERIMENT_TAG = "dvc.experiment"
"""The name of the run among `dvc exp show`'s."""
STATE_DIR = "reproduce"
"""The folder of a run's artifacts that keeps what it takes to have the run again (`thaw.versioning.state`)."""
_MODEL = "evaluated_dir"
_REPORT = "result_path"
_CARD = "model_card_path"
_METRICS = "metrics_path"
_AUDIT = "audit_path"
_IMAGES = "raw"
"""The folder that stages know as `raw_dir`."""


@dataclass(frozen=True)
class StageFacts:
    """What is known of a stage when it has ended.

    Attributes:
        spec: the stage (`thaw.versioning.StageSpec`).
        outcome: `ran`, `restored` or `unchanged`.
        first_step: how many epochs the stages before it trained.
        hashes: path of each output, and of each input that is another stage's output, to DVC's hash.
    """

    spec: Any
    outcome: str
    first_step: int
    hashes: Mapping[str, str]


def record_data(outbox: Outbox, versions: Mapping[str, str]) -> None:
    """Log which version of which data the run uses."""
    outbox.log_tags(PIPELINE, {f"{DATA_TAG}{name}": version for name, version in versions.items()})


def _record_dataset(outbox: Outbox, spec: Any) -> None:
    """Log the images that the run uses with the first stage that knows their splits."""
    splits = split_paths({**spec.inputs, **spec.outputs})
    if not splits or outbox.has_dataset(PIPELINE):
        return
    for tag, version in _data_versions(outbox).items():
        name = tag.removeprefix(DATA_TAG)
        if Path(name).name == _IMAGES:
            outbox.log_dataset(PIPELINE, name, source=name, context="training", **describe_splits(version, splits))


def record_gate(outbox: Outbox, spec: Any) -> None:
    """Log what the gate found, where the stage is the gate and has just run; also when it refused the data."""
    path = spec.outputs.get("findings_path")
    if path and path.exists():
        run_data.record_findings(outbox, spec.name, path, each=True)
        gate_pages.keep(outbox.folder.parents[1], path)
        _record_findings(outbox, spec)


def _record_findings(outbox: Outbox, spec: Any) -> None:
    """Log the gate's findings, and the page that was made of them, to the pipeline's run."""
    path = spec.outputs["findings_path"]
    run_data.record_findings(outbox, PIPELINE, path)
    page = gate_pages.find(outbox.folder.parents[1], path)
    if page:
        outbox.log_file(PIPELINE, page)


def record_child(outbox: Outbox, spec: Any) -> None:
    """Log a stage's outputs to its own run."""
    run_data.record_outputs(outbox, [spec.name], spec.name, spec.outputs.values(), _metrics(spec))


def record_stage(outbox: Outbox, facts: StageFacts, model_name: str) -> None:
    """Log what a stage's outputs say to the pipeline's run, and the model once it is judged.

    Args:
        model_name: the registered model's.
    """
    spec = facts.spec
    if facts.outcome != "ran":
        if "findings_path" in spec.outputs:
            _record_findings(outbox, spec)
        for path in spec.curves:
            run_data.record_curve(outbox, PIPELINE, path, facts.first_step)
    _record_dataset(outbox, spec)
    outputs = [path for name, path in spec.outputs.items() if name not in (_REPORT, _CARD)]
    run_data.record_outputs(outbox, [PIPELINE], spec.name, outputs, _metrics(spec))
    if _REPORT in spec.outputs:
        model = read_json(spec.inputs[_MODEL] / "model.json")
        outbox.log_report(PIPELINE, spec.outputs[_REPORT], model.get("weights_sha256", ""))
    if _CARD in spec.outputs:
        outbox.log_file(PIPELINE, spec.outputs[_CARD])
    hashes = {f"dvc.{path}": value for path, value in facts.hashes.items()}
    outbox.log_tags(PIPELINE, {f"stage.{spec.name}": facts.outcome, **hashes})
    model_dir = spec.outputs.get(_MODEL)
    if model_dir and facts.outcome != "unchanged":
        version = next(
            (facts.hashes[path] for path in facts.hashes if str(model_dir).endswith(f"/{path}")), ""
        )
        tags = _judgement(_metrics(spec)) | _classes(model_dir) | _data_versions(outbox)
        outbox.log_model(PIPELINE, model_dir, model_name, version, tags)


def record_state(outbox: Outbox, write: Callable[[Path], None]) -> None:
    """Log what it takes to have the run again, as it is now, and the lock by which the workspace is known to be at this run.

    Args:
        write: writes it to an empty folder.
    """
    with tempfile.TemporaryDirectory(prefix="thaw-") as folder:
        write(Path(folder))
        outbox.log_folder(PIPELINE, Path(folder), STATE_DIR)
        lock = Path(folder) / "dvc.lock"
        if lock.exists():
            outbox.log_tags(PIPELINE, {LOCK_TAG: digest(lock)})


def record_failure(outbox: Outbox, stage: str, error: Exception) -> None:
    """Log why a run failed, in one line; `stage` is where, empty outside of stages."""
    first, *rest = str(error).splitlines() or [type(error).__name__]
    # Of a traceback the last line says it.
    line = error.sentence if isinstance(error, ThawError) else " ".join(" ".join([first, *rest[-1:]]).split())
    outbox.log_tags(PIPELINE, {FAILURE_TAG: redact(line), FAILED_STAGE_TAG: stage})


def _metrics(spec: Any) -> dict[str, float]:
    """The metrics of the test split, or those out of fold, where the stage writes them; DVC is shown the headline alone."""
    readers = {_METRICS: run_data.result_metrics, _AUDIT: run_data.audit_metrics}
    read = [readers[name](path) for name, path in spec.outputs.items() if name in readers]
    return {name: value for values in read for name, value in values.items()}


def _judgement(values: Mapping[str, float]) -> dict[str, str]:
    """The test accuracy and the ends of its interval, as tags."""
    names = {f"test/accuracy{end}": f"{ACCURACY_TAG}{end}" for end in ("", "_low", "_high")}
    return {tag: str(values[name]) for name, tag in names.items() if name in values}


def _classes(model_dir: Path) -> dict[str, str]:
    """The names of a model's classes, in the order of its probabilities, as a tag."""
    return {"classes": ", ".join(read_json(model_dir / "model.json").get("classes", []))}


def _data_versions(outbox: Outbox) -> dict[str, str]:
    return {name: value for name, value in outbox.tags(PIPELINE).items() if name.startswith(DATA_TAG)}
