"""`thaw lr-find`: how high a learning rate may be."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from thaw.cli import app
from thaw.errors import ThawError


@app.command("lr-find")
def lr_find(
    picture: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("reports/lr_find.png"),
    lowest: Annotated[float, typer.Option(min=1e-10, help="The first rate.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="The last rate.")] = 1.0,
    steps: Annotated[int, typer.Option(min=10, help="Batches to train on.")] = 100,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure which learning rate suits [bold]fine_tune[/bold]: the loss while the rate rises from batch to batch.

    Uses the parameters of fine_tune and the files that the stages before it made; changes none of them.

    [bold]Examples[/bold]

      thaw lr-find
      thaw lr-find --picture rates.png --json
    """
    from thaw.training.lr_find import draw

    test = _measure(lowest, highest, steps)
    draw(test, picture)
    if as_json:
        facts = {"suggestion": test.suggestion, "rates": test.rates, "losses": test.losses, "picture": str(picture)}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"suggestion: fine_tune.learning_rate: {test.suggestion:.2g}   (picture: {picture})")
        typer.echo(f"try it: thaw run -S fine_tune.learning_rate={test.suggestion:.1g}")


def _measure(lowest: float, highest: float, steps: int) -> Any:
    from thaw.devices import prepare_tensorflow
    from thaw.params import load_params
    from thaw.project import find_root, scratch_dir
    from thaw.versioning import Books

    prepare_tensorflow()
    from thaw.stages.fine_tune import thaw_network
    from thaw.training.devices import training_on
    from thaw.training.guard import guarded
    from thaw.training.lr_find import find_learning_rate

    root = find_root()
    params = load_params(root / "params.yaml")
    books = Books(root)
    inputs = books.stage("fine_tune").inputs
    books.close()
    for path in inputs.values():
        if not path.exists():
            raise ThawError(f"{path.relative_to(root)}: fine_tune needs it, and it is not there", "Run `thaw run` first.")
    scratch = scratch_dir(root, "fine_tune")
    with guarded(scratch) as stop, training_on(params.fine_tune.devices):
        thawed = thaw_network(
            params=params.fine_tune, seed=params.seed, extract=params.extract, scratch_dir=scratch, stop=stop, **inputs
        )
        return find_learning_rate(
            thawed.suffix, params.fine_tune, thawed.train, params.seed, lowest, highest, steps
        )
