"""How often 95 % intervals hold the truth: of simulated test sets, as `report_metrics` gives them. Prints Markdown.

python -m benchmarks.coverage            # 1,000 test sets a line, some minutes
python -m benchmarks.coverage --quick    # 200
"""

import argparse
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from thaw.decision import probabilities_of
from thaw.evaluation import Predictions, report_metrics

POPULATION = 2_000_000


METRICS = {"accuracy": "accuracy", "weighted by confidence": "confidence_weighted_accuracy", "ROC-AUC": "roc_auc"}
"""What the table's columns are of: a key of `truth`, and of `interval` in `metrics.json`."""


class Case(NamedTuple):
    """A kind of test set."""

    name: str
    images: int
    group: int
    """Images of a group; 1: none depends on another."""
    classes: int
    shift: float
    """By how much the logit of the right class lies higher: how good the model is."""
    is_weighted: bool
    """Whether labels have confidences."""


CASES = (
    Case("656 images", 656, 1, 2, 2.0, False),
    Case("656 images, uncertain labels", 656, 1, 2, 2.0, True),
    Case("656 images in groups of 4", 656, 4, 2, 2.0, False),
    Case("656 images in groups of 4, uncertain labels", 656, 4, 2, 2.0, True),
    Case("200 images", 200, 1, 2, 2.0, False),
    Case("100 images", 100, 1, 2, 1.5, False),
    Case("60 images", 60, 1, 2, 1.5, False),
    Case("656 images of 10 classes", 656, 1, 10, 2.0, False),
)


def draw(random: np.random.Generator, case: Case, images: int) -> Predictions:
    """A test set: a third of the images of two classes is positive; of a group's images half of the noise is common."""
    groups = np.arange(images) // case.group
    labels = random.integers(0, case.classes, images) if case.classes > 2 else (random.random(images) < 1 / 3).astype(np.int64)
    noise = random.normal(size=(images, case.classes))
    if case.group > 1:
        noise = (noise + random.normal(size=(groups[-1] + 1, case.classes))[groups]) / np.sqrt(2)
    logits = noise
    logits[np.arange(images), labels] += case.shift
    confidence = random.choice([1.0, 2 / 3], images) if case.is_weighted else np.ones(images)
    return Predictions(
        [f"class {number}" for number in range(case.classes)], labels, probabilities_of(logits), confidence,
        groups=groups.astype(str) if case.group > 1 else None,
    )  # fmt: skip


def truth(case: Case) -> dict[str, float]:
    """What an endless test set would give."""
    noise = np.random.default_rng(1).normal(size=(POPULATION // case.classes, case.classes))
    right = float((noise[:, 0] + case.shift > noise[:, 1:].max(axis=1)).mean())
    if case.classes == 2:
        right = float(ndtr(case.shift / np.sqrt(2)))
    whole = draw(np.random.default_rng(2), case._replace(group=1), POPULATION // case.classes)
    area = float(np.nanmean(whole.ranking.measure(np.ones((1, len(whole))))[0]))
    return {"accuracy": right, "confidence_weighted_accuracy": right, "roc_auc": area}


def held(case: Case, sets: int) -> dict[str, float]:
    """In which share of the test sets each metric's interval holds the truth."""
    truths, random = truth(case), np.random.default_rng(0)
    inside: dict[str, list[bool]] = {}
    for _ in range(sets):
        intervals = report_metrics(draw(random, case, case.images), {}, 0, 0.95, 1)["interval"]
        for name, value in truths.items():
            if name in intervals:
                inside.setdefault(name, []).append(intervals[name]["low"] <= value <= intervals[name]["high"])
    return {name: float(np.mean(each)) for name, each in inside.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 test sets a line instead of 1,000")
    sets = 200 if parser.parse_args().quick else 1000
    print(f"{sets:,} test sets a line; 95 % intervals hold the truth in:\n")
    print(f"| test set | {' | '.join(METRICS)} |\n|{'---|' * (1 + len(METRICS))}")
    for case in CASES:
        found = held(case, sets)
        cells = (f"{100 * found[name]:.1f} %" if name in found else "" for name in METRICS.values())
        print(f"| {case.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
