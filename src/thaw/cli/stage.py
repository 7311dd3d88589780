"""`thaw stage`: what DVC runs."""

import os
from typing import Annotated

import typer

from thaw.cli import app
from thaw.processes import end_with_starters
from thaw.project import find_root, forget_experiment, forget_finished, home_dir, scratch_dir


@app.command()
def stage(name: Annotated[str, typer.Argument(help="A stage of dvc.yaml.")]) -> None:
    """Run one stage on the files as they are, and record it in MLflow. `dvc repro` and `dvc exp run` call this.

    [bold]Examples[/bold]

      thaw stage validate
      dvc repro evaluate
    """
    end_with_starters()
    from thaw.params import load_params
    from thaw.stages import call_stage, configure_logging
    from thaw.tracking import records
    from thaw.tracking.follower import JournalFollower
    from thaw.tracking.outbox import create_outbox, find_unfinished
    from thaw.tracking.shipment import Shipment
    from thaw.versioning import Books, require_same

    root = find_root()
    home = home_dir(root)
    configure_logging()
    shipment = Shipment(home)
    books = Books(root)
    spec = books.stage(name)
    for output in spec.outputs.values():
        output.parent.mkdir(parents=True, exist_ok=True)
    spec.require_inputs(root)
    snapshot, params = books.snapshot(name), load_params(root / "params.yaml")
    if books.is_booked(name):
        forget_finished(root, name)
    mark = records.fingerprint(root, books.data_version())
    outbox = find_unfinished(home, name, mark)
    journal_path = scratch_dir(root, name) / "journal.jsonl"
    if outbox is None:
        journal_path.unlink(missing_ok=True)
        outbox = create_outbox(home)
    tags = records.describe_run(root)
    experiment = os.environ.get("DVC_EXP_NAME", "")
    if experiment:
        tags["dvc.experiment"] = experiment
    outbox.open_run(
        name, f"{name} {experiment}".strip(), tags=tags, params=params.flat([name]), fingerprint=mark
    )
    shipment.begin(outbox)
    status = "FAILED"
    try:
        with JournalFollower(outbox, (name,), journal_path, records.epochs_before(books.stages(), name)):
            call_stage(spec, root, params)
        require_same(name, snapshot, books.snapshot(name))  # refused here, or DVC would book it
        records.record_outputs(outbox, [name], name, spec.outputs.values(), spec.metrics)
        status = "FINISHED"
        if books.downstream(name) == [name]:
            forget_experiment(root)
    except (KeyboardInterrupt, SystemExit):
        status = ""
        raise
    finally:
        books.close()
        if status:
            outbox.close_run(name, status)
            outbox.finish()
            problem = shipment.wait(30)
            if problem:
                typer.echo(f"tracking is behind ({problem}); the next run uploads what is left", err=True)
