"""`thaw seeds`: how much of a result is chance."""

import json
from typing import Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.options import Compute
from thaw.cli.run import execute_flow
from thaw.cli.seed_table import Vary, record_spread, tell_seeds
from thaw.params import load_params
from thaw.progress import showing
from thaw.project import find_root, holding


@app.command()
def seeds(
    n: Annotated[int, typer.Option("--n", min=3, help="How many, from the seed in params.yaml on.")] = 5,
    vary: Annotated[
        Vary,
        typer.Option(
            help="training: the images stay in their splits, so that all differences are those of augmentation and training; "
            "all: the division of the images differs too, as with `thaw run -S seed=N`."
        ),
    ] = Vary.TRAINING,
    heads: Annotated[
        bool,
        typer.Option("--heads", help="Train heads alone, on the features that `thaw run` left: seconds, and no test split."),
    ] = False,
    folds: Annotated[int, typer.Option(min=2, help="With --heads: the folds that the images are judged in.")] = 5,
    workers: Annotated[
        int,
        typer.Option(min=0, help="With --heads: processes; 0: one for each core. They change no result."),
    ] = 0,
    compute: Compute = "",
    wait: Annotated[bool, typer.Option(help="Wait for a run of this project that is at work, or refuse.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Run the pipeline under several seeds, and tell how much of its result is chance: mean, standard deviation and interval.

    It works in a copy of the project: params.yaml and dvc.lock stay as they are. Stages that do not depend on the seed run
    once, and what was run before is taken from DVC's cache: started again after a kill it goes on.

    [bold]Examples[/bold]

      thaw seeds
      thaw seeds --heads
      thaw seeds --n 10 --vary all
    """
    root = find_root()
    params = load_params(root / "params.yaml")
    numbers = [(params.seed + number) % 2**32 for number in range(n)]
    if heads:
        with holding(root):
            _seed_heads(root, params, numbers, vary, folds, workers, compute, as_json)
        return
    if compute:
        from thaw.cli.run import work_at

        work_at(compute)
    values = {"seeds": numbers, "vary": vary.value, "wait": wait, "as_json": as_json}
    execute_flow(root, ["seeds", json.dumps(values)])


def _seed_heads(
    root: Any, params: Any, numbers: list[int], vary: Vary, folds: int, workers: int, compute: str, as_json: bool
) -> None:
    from thaw.cli.search import head_task
    from thaw.compute.choosing import choose
    from thaw.devices import available_cpus
    from thaw.fingerprint import content_key
    from thaw.trials.recording import recording
    from thaw.tuning.heads import SeedTask
    from thaw.tuning.workers import working

    search_task = head_task(root, params, folds)
    task = SeedTask(search_task.features, params, search_task.folds, vary.value)
    mark = content_key("seeds", search_task.key(), numbers, vary)
    own = params.flat(("seed", "model", "train_frozen"))
    found: dict[int, dict[str, float]] = {}
    places = min(workers or available_cpus(), len(numbers))
    with (
        recording(root, "seeds", f"{len(numbers)} seeds of heads", own, {}, mark) as recorded,
        showing("seeds") as tell,
        working(task, places, choose(params.compute, compute)) as score,
    ):
        for seed, one in zip(numbers, score(numbers), strict=True):
            found[seed] = {"accuracy": one.accuracy, "log_loss": one.log_loss}
            metrics = {f"held_out/{name}": value for name, value in found[seed].items()}
            recorded.record_child(f"seed-{seed}", f"seed {seed}", metrics, {"seed": seed})
            tell(len(found), len(numbers))
        record_spread(recorded, found, vary)
    judged = f"in {search_task.folds} folds of train and validation, each by a head that was trained without it"
    tell_seeds(found, judged, vary, as_json)
