"""`thaw lr-find`: how high a learning rate may be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.console import print_table
from thaw.errors import ThawError
from thaw.progress import showing


@app.command("lr-find")
def lr_find(
    picture: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("reports/lr_find.png"),
    lowest: Annotated[float, typer.Option(min=1e-10, help="The first rate.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="The last rate.")] = 1.0,
    steps: Annotated[int, typer.Option(min=10, help="Batches to train on.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Measure which learning rate suits [bold]fine_tune[/bold]: the loss while the rate rises from batch to batch.

    Uses the parameters of fine_tune and the files that the stages before it made; changes none of them.

    [bold]Examples[/bold]

      thaw lr-find
      thaw lr-find --picture rates.png --json
    """

    def work(thawed: Any, params: Any) -> Any:
        from thaw.tuning.lr_find import find_learning_rate

        settings = params.fine_tune
        return find_learning_rate(
            thawed.suffix, settings, thawed.train, params.seed, lowest, highest, steps, thawed.tuning(settings),
        )  # fmt: skip

    if lowest >= highest:
        raise ThawError(f"--lowest: {lowest:g} is not below --highest {highest:g}", "Give a range of rates that rises.")
    with showing("measuring rates"):
        test = _run_on_thawed(work)
    from thaw.tuning.lr_find import draw

    draw(test, picture)
    if as_json:
        facts = {"suggestion": test.suggestion, "rates": test.rates, "losses": test.losses, "picture": str(picture)}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"suggestion: fine_tune.learning_rate: {test.suggestion:.2g}   (picture: {picture})")
        typer.echo(f"try it: thaw run -S fine_tune.learning_rate={test.suggestion:.1g}")


def tune() -> None:
    """Time batch sizes and precisions for fine_tune, and print the proposal (`thaw doctor --tune`)."""
    from rich.table import Table

    with showing("measuring batches"):
        trials, best = _run_on_thawed(_tune)
    table = Table("precision", "batch_size", "images/s")
    for trial in trials:
        rate = f"{trial.images_per_second:.0f}" if trial.images_per_second else "out of memory"
        table.add_row(trial.precision, str(trial.batch_size), rate, style="bold" if trial == best else "")
    print_table(table)
    typer.echo(f"proposal: fine_tune.batch_size: {best.batch_size}, fine_tune.precision: {best.precision}")


def _tune(thawed: Any, params: Any) -> Any:
    from thaw.backends import backend
    from thaw.training.devices import cpu_has_bfloat16
    from thaw.tuning.tune import measure, propose

    half = ["mixed_float16", "mixed_bfloat16"] if backend.count_gpus() else []
    precisions = ["float32", *(half or ["mixed_bfloat16"] * cpu_has_bfloat16())]
    trials = measure(thawed.suffix, params.fine_tune, thawed.train, tuple(precisions))
    return trials, propose(trials)


def _run_on_thawed(work: Callable[[Any, Any], Any]) -> Any:
    """Call `work(thawed network, parameters)` on the project's network as fine_tune begins with it."""
    from thaw.params import load_params
    from thaw.project import find_root, scratch_dir
    from thaw.stages import paths_of
    from thaw.stages.fine_tune import FineTuneInputs, thaw_network
    from thaw.training.devices import training_on
    from thaw.training.guard import guarded
    from thaw.versioning import DvcRepo

    root = find_root()
    params = load_params(root / "params.yaml")
    repo = DvcRepo(root)
    spec = repo.stage("fine_tune")
    repo.close()
    spec.require_inputs(root)
    inputs = paths_of(FineTuneInputs, spec.inputs, spec.name)
    scratch = scratch_dir(root, "fine_tune")
    with guarded(scratch) as stop, training_on(params.fine_tune.devices):
        thawed = thaw_network(
            params.fine_tune, params.seed, params.extract, params.compute, inputs, scratch, stop
        )
        return work(thawed, params)
