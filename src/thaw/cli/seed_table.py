"""What several seeds came to, as it is recorded and printed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from thaw.cli.console import print_table

if TYPE_CHECKING:
    from thaw.statistics.comparison import Spread


class Vary(StrEnum):
    """What another seed changes."""

    TRAINING = "training"
    ALL = "all"


_COVERS = {
    Vary.TRAINING: "other seeds of the training on the same images; it says nothing of other images",
    Vary.ALL: "other seeds of the training and of the division of these images; it says nothing of other images",
}


def record_spread(recorded: Any, found: Mapping[int, Mapping[str, float]], vary: str) -> None:
    """Record what the seeds amount to.

    Args:
        recorded: their parent (`thaw.trials.recording.Recorded`).
        found: the metrics of each seed.
    """
    parts = {f"seeds/{name}_{part}": value for name, one in _spreads(found).items() for part, value in asdict(one).items()}
    recorded.record_metrics(parts)
    recorded.record_tags({"seeds.vary": str(vary)})


def tell_seeds(found: Mapping[int, Mapping[str, float]], judged: str, vary: str, as_json: bool) -> None:
    """Print what the seeds came to.

    Args:
        judged: on what, in words.
    """
    covers, spreads = _COVERS[Vary(vary)], _spreads(found)
    if as_json:
        told = {"seeds": {str(seed): dict(values) for seed, values in found.items()}, "vary": str(vary), "judged": judged}
        told |= {"spread": {name: asdict(one) for name, one in spreads.items()}, "interval_of_the_mean_covers": covers}
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    _print(found, spreads)
    typer.echo(f"Judged {judged}.")
    typer.echo(f"The interval of the mean (Student's t, 95 %) covers {covers}.")


def _spreads(found: Mapping[int, Mapping[str, float]]) -> "dict[str, Spread]":
    """Of each metric that every seed has."""
    import numpy as np

    from thaw.statistics.comparison import spread

    names = [name for name in next(iter(found.values())) if all(name in values for values in found.values())]
    return {name: spread(np.array([values[name] for values in found.values()])) for name in names}


def _print(found: Mapping[int, Mapping[str, float]], spreads: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table("seed", *(name.replace("_", " ") for name in spreads))
    for seed, values in found.items():
        table.add_row(str(seed), *(f"{values[name]:.4f}" for name in spreads))
    table.add_section()
    table.add_row("mean", *(f"{one.mean:.4f}" for one in spreads.values()), style="bold")
    table.add_row("standard deviation", *(f"{one.deviation:.4f}" for one in spreads.values()))
    table.add_row("interval of the mean", *(f"{one.low:.4f} to {one.high:.4f}" for one in spreads.values()))
    print_table(table)
