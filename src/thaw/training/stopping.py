"""Early stopping: which epoch is the best, and whether training goes on."""

import math
from collections.abc import Sequence

from thaw.params import FitParams
from thaw.training.journal import Row


def best_epoch(rows: Sequence[Row], params: FitParams) -> int | None:
    """The first epoch, from 0, of the lowest validation loss or highest accuracy: its weights are kept. None without patience.

    What is no number is worse than any.
    """
    if not params.early_stopping_patience or not rows:
        return None
    monitor = params.early_stopping_monitor
    sign = 1 if monitor == "loss" else -1
    found = [sign * row["metrics"][f"validation_{monitor}"] for row in rows]
    return min(range(len(found)), key=lambda epoch: (math.isnan(found[epoch]), found[epoch]))


def is_worse_for_long(rows: Sequence[Row], params: FitParams) -> bool:
    """Whether as many epochs as the patience have passed since the best one."""
    best = best_epoch(rows, params)
    return best is not None and len(rows) - 1 - best >= params.early_stopping_patience
