"""`thaw stage`: what DVC runs."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.completion import complete_stage
from thaw.errors import ThawError
from thaw.processes import end_with_starters
from thaw.project import find_root, forget_experiment, forget_finished, home_dir, scratch_dir

if TYPE_CHECKING:
    from thaw.params import Params
    from thaw.tracking.outbox import Outbox
    from thaw.versioning import DvcRepo, Snapshot, StageSpec


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help="A stage of dvc.yaml.", autocompletion=complete_stage)],
) -> None:
    """Run one stage on the files as they are, and record it in MLflow. `dvc repro` and `dvc exp run` call this.

    Stages of one `dvc repro` or `dvc exp run` are children of one run.

    [bold]Examples[/bold]

      thaw stage validate
      dvc repro evaluate
    """
    end_with_starters()
    from thaw.params import load_params
    from thaw.stages import configure_logging
    from thaw.tracking.outbox import PIPELINE
    from thaw.tracking.recording import record_failure, record_state
    from thaw.tracking.run_page import publish_run_page
    from thaw.tracking.shipment import Shipment
    from thaw.versioning import DvcRepo, require_same, take_state, write_state

    root = find_root()
    configure_logging()
    shipment = Shipment(home_dir(root))
    repo = DvcRepo(root)
    spec = repo.stage(name)
    spec.require_inputs(root)
    params_text = (root / "params.yaml").read_bytes()
    snapshot, params = repo.snapshot(name), load_params(root / "params.yaml")
    outbox = _open_runs(root, repo, spec, params)
    shipment.begin(outbox)
    status = ""  # a stage that is killed stays open: the next one goes on with it
    try:
        _work(root, repo, spec, snapshot, params, outbox)
        record_state(outbox, partial(write_state, state=take_state(repo, params_text, ahead=name)))
        status = "FINISHED"
    except Exception as error:
        record_failure(outbox, name, error)
        status = "FAILED"
        raise
    finally:
        if status:
            outbox.close_run(name, status)
            outbox.close_run(PIPELINE, status)
            outbox.finish()
            problem = shipment.wait(30)
            publish_run_page(outbox, root)
            if problem:
                typer.echo(problem, err=True)
    # DVC books what it finds once this process is gone: nothing that takes time comes after this look.
    require_same(name, snapshot, repo.snapshot(name))
    repo.close()


def _open_runs(root: Path, repo: "DvcRepo", spec: "StageSpec", params: "Params") -> "Outbox":
    """Open the pipeline's run, which the stages of one DVC process share, and the stage's below it.

    Raises:
        ThawError: a parameter of the stage is not what the pipeline's run was opened with.
    """
    from thaw.tracking import run_data
    from thaw.tracking.grouping import group_key, group_outbox, is_under_dvc
    from thaw.tracking.outbox import PIPELINE
    from thaw.tracking.recording import EXPERIMENT_TAG, record_data
    from thaw.tracking.summary import NAME_TAG, default_gate

    name = spec.name
    if repo.is_booked(name):
        forget_finished(root, name)
    versions = repo.data_version()
    mark = run_data.fingerprint(root, versions)
    outbox = group_outbox(home_dir(root), group_key(root), PIPELINE, mark)
    if not outbox.opened(name):
        (scratch_dir(root, name) / "journal.jsonl").unlink(missing_ok=True)
    experiment = os.environ.get("DVC_EXP_NAME", "")
    named = {EXPERIMENT_TAG: experiment, NAME_TAG: experiment} if experiment else {}
    tags = run_data.describe_run(root, home_dir(root)) | named
    title = experiment or ("dvc repro" if is_under_dvc() else f"thaw stage {name}")
    own = params.flat(spec.keys)
    _require_opened_with(outbox, own)
    known = _known_params(repo, name, params) | own
    outbox.open_run(PIPELINE, title, tags=tags, params=known, fingerprint=mark, unshown=default_gate(known))
    outbox.open_run(name, name, PIPELINE, params=params.flat([name]))
    record_data(outbox, versions)
    return outbox


def _require_opened_with(outbox: "Outbox", own: dict[str, Any]) -> None:
    """Hold the stages of one DVC process to the parameters of their common run."""
    opened = outbox.params("pipeline")
    changed = [
        f"{key}: {opened[key]} -> {value}" for key, value in own.items() if opened.get(key, str(value)) != str(value)
    ]
    if changed:
        raise ThawError(
            f"params.yaml was changed since these stages began ({'; '.join(changed)})", "Run `dvc repro` again."
        )


def _known_params(repo: "DvcRepo", name: str, params: "Params") -> dict[str, Any]:
    """The parameters, less those of stages before this one that are out of date: other values made what this one reads."""
    dirty = [other for other in repo.upstream(name) if repo.changed(other)]
    unknown = {key for other in dirty for key in repo.stage(other).keys}
    return params.flat(key for key in params.sections() if key not in unknown)


def _work(
    root: Path, repo: "DvcRepo", spec: "StageSpec", snapshot: "Snapshot", params: "Params", outbox: "Outbox"
) -> None:
    """Run the stage, and log what it made to both runs."""
    from thaw.stages import call_stage
    from thaw.tracking.address import model_name
    from thaw.tracking.follower import JournalFollower
    from thaw.tracking.outbox import PIPELINE
    from thaw.tracking.recording import StageFacts, record_child, record_gate, record_stage
    from thaw.tracking.run_data import epochs_before
    from thaw.versioning import require_same

    name = spec.name
    for output in spec.outputs.values():
        output.parent.mkdir(parents=True, exist_ok=True)
    first_step = epochs_before(repo.stages(), name)
    try:
        with JournalFollower(outbox, (name, PIPELINE), scratch_dir(root, name) / "journal.jsonl", first_step):
            call_stage(spec, root, params)
    finally:
        record_gate(outbox, spec)
    require_same(name, snapshot, repo.snapshot(name))  # refused here, or DVC would book it
    record_child(outbox, spec)
    hashes = repo.present_output_hashes(name) | repo.made_inputs(snapshot)
    record_stage(outbox, StageFacts(spec, "ran", first_step, hashes), model_name(home_dir(root)))
    if repo.downstream(name) == [name]:
        forget_experiment(root)
