"""How often slices are called worse: at random, and where one really is. Prints Markdown.

python -m benchmarks.slices            # 200 data sets a line, about a minute
python -m benchmarks.slices --quick    # 50
"""

import argparse

import numpy as np
from scipy.stats import norm

from thaw.statistics.slices import compare_slices

IMAGES, COLUMNS, VALUES, PLANTED = 656, 4, 5, 60
"""Four columns of five values: 20 slices; the planted slice is one of them."""
LOSS = 0.2
ACCURACIES = (0.95, 0.92, 0.89)
GROUP = 4


def divide(random: np.random.Generator, has_planted: bool) -> list[np.ndarray]:
    """Random slices; the first are the images 0 to 59 where one is planted."""
    columns = [random.integers(0, VALUES, IMAGES) for _ in range(COLUMNS)]
    if has_planted:
        columns[0] = np.where(np.arange(IMAGES) < PLANTED, 0, random.integers(1, VALUES, IMAGES))
    return [column == value for column in columns for value in range(VALUES)]


def judge(random: np.random.Generator, accuracies: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Which images are told rightly: those of a unit share half of what decides it."""
    noise = (random.normal(size=units.max() + 1)[units] + random.normal(size=len(units))) / np.sqrt(2)
    return noise < norm.ppf(accuracies)


def flagged(random: np.random.Generator, accuracy: float, units: np.ndarray, planted: str) -> list[bool]:
    """Whether each slice of a data set is called worse.

    Args:
        planted: empty; `drawn`: each image of the slice is right with 20 points less; `exact`: so many of them are.
    """
    accuracies = np.full(IMAGES, accuracy)
    accuracies[:PLANTED] -= LOSS * bool(planted)
    hits = judge(random, accuracies, units)
    if planted == "exact":
        wrong = round(PLANTED * (1 - hits[PLANTED:].mean() + LOSS))
        hits[:PLANTED] = np.arange(PLANTED) >= wrong
    return [part.adjusted_p <= 0.05 for part in compare_slices(hits, units, divide(random, bool(planted)), 0.95)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="50 data sets a line instead of 200")
    sets = 50 if parser.parse_args().quick else 200
    alone, grouped = np.arange(IMAGES), np.arange(IMAGES) // GROUP
    print(f"{IMAGES} images, {COLUMNS * VALUES} slices, {sets} data sets a line. Planted: {PLANTED} images, 20 points less.\n")
    print("| accuracy | at random: any called worse | in groups of 4 | planted, by chance: found | exactly 20 points: found |")
    print("|---|---|---|---|---|")
    for accuracy in ACCURACIES:
        cells = []
        for units, planted in ((alone, ""), (grouped, ""), (alone, "drawn"), (alone, "exact")):
            random = np.random.default_rng(0)
            found = [flagged(random, accuracy, units, planted) for _ in range(sets)]
            cells.append(np.mean([each[0] if planted else any(each) for each in found]))
        print(f"| {accuracy:.0%} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
