"""Cross-validation: repeats of folds, by heads or by whole trainings; what is done outlives a kill."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thaw.cross_validation.heads import train_heads
from thaw.cross_validation.material import Material, choose_folds
from thaw.cross_validation.out_of_fold import held_out_probabilities, make_heads
from thaw.cross_validation.summary import METRICS, combine, measure_part, summarize_folds
from thaw.files import replacing
from thaw.params import Params
from thaw.trials.recording import Recorded

_log = logging.getLogger("thaw.trials")

Judge = Callable[[np.ndarray, list[int], int], Iterator[tuple[int, np.ndarray]]]
"""From the fold of each image, the folds to do and a seed: each fold with the probabilities of its images."""


@dataclass(frozen=True)
class Plan:
    """Which folds, and how often."""

    folds: int
    repeats: int
    """Repeat `r` has the seed `seed + r`, of folds and trainings; the first is the stage `audit`'s."""


def by_heads(material: Material, params: Params) -> Judge:
    """Heads on the features of the frozen network, those of a repeat as one."""

    def judge(folds: np.ndarray, todo: list[int], seed: int) -> Iterator[tuple[int, np.ndarray]]:
        heads = make_heads(material, folds, params.train_frozen, params.model, seed)
        trained = train_heads(material.features, heads)
        probabilities = held_out_probabilities(material, folds, trained)
        for fold in todo:
            yield fold, probabilities[folds == fold]

    return judge


def cross_validate(
    material: Material, plan: Plan, params: Params, judge: Judge, kept_dir: Path, recorded: Recorded
) -> dict[str, Any]:
    """Judge every image in each repeat; means, spread and intervals over all folds, and each fold, ready for JSON.

    Args:
        kept_dir: holds what each fold came to, of a run that was killed too; whoever calls removes it.
        recorded: is told of each fold as it ends.

    Raises:
        NothingToAudit: the classes are too small for two folds.
    """
    summaries = []
    for repeat in range(plan.repeats):
        seed = params.seed + repeat
        folds = choose_folds(material, plan.folds, seed)
        probabilities = np.zeros((len(folds), len(material.classes)))
        for fold, found in _each_fold(folds, judge, seed, kept_dir / f"repeat-{repeat}"):
            probabilities[folds == fold] = found
            row = _row(material, folds, fold, found)
            count = int(folds.max()) + 1
            recorded.record_child(f"repeat-{repeat}-fold-{fold}", f"repeat {repeat + 1}, fold {fold + 1}", row)
            done = {"done": repeat * count + fold + 1, "total": plan.repeats * count}
            accuracy = row["held_out/accuracy"]
            _log.info("repeat %d, fold %d of %d: accuracy %.4f", repeat + 1, fold + 1, count, accuracy, extra=done)
        summaries.append(summarize_folds(material.predictions(probabilities), folds, params.evaluate.confidence))
    result = combine(summaries)
    recorded.record_metrics(
        {
            f"held_out/{name}{'' if part == 'mean' else f'_{part}'}": value
            for name in METRICS
            for part, value in result[name].items()
            if value is not None
        }
    )
    return result


def _each_fold(folds: np.ndarray, judge: Judge, seed: int, kept_dir: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Folds that were done before, then the others."""
    numbers = range(int(folds.max()) + 1)
    kept = [fold for fold in numbers if (kept_dir / f"{fold}.npy").exists()]
    for fold in kept:
        yield fold, np.load(kept_dir / f"{fold}.npy", allow_pickle=False)
    todo = [fold for fold in numbers if fold not in kept]
    if todo:
        for fold, found in judge(folds, todo, seed):
            with replacing(kept_dir / f"{fold}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, found)
            yield fold, found


def _row(material: Material, folds: np.ndarray, fold: int, found: np.ndarray) -> dict[str, float]:
    """A fold's metrics, as its run has them."""
    inside = folds == fold
    probabilities = np.zeros((len(folds), len(material.classes)))
    probabilities[inside] = found
    measured = measure_part(material.predictions(probabilities).where(inside))
    return {f"held_out/{name}": value for name, value in measured.items()} | {"held_out/images": float(len(found))}
