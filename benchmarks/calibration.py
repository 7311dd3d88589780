"""Whether the interval of the calibration error holds the truth, and whether a temperature ever does harm on unseen data.

    python -m benchmarks.calibration [--sets 1000] [--images 656] [--features data/features data/splits]

Coverage: simulated test sets of a model whose probabilities are right, too sure, not sure enough, or shifted; how often the
95 % interval holds the true error. Harm: heads on the frozen features of the demo's train and validation split, ten divisions
of them in train, validation and held-out; the temperature is fitted on validation, and all is measured on held-out.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from thaw.decision import predict_labels, probabilities_of
from thaw.statistics.calibration import calibration_interval, smooth_calibration_error
from thaw.statistics.temperature import fit_temperature

MODELS = {"right": (1.0, 0.0), "slightly too sure": (1.15, 0.0), "too sure": (1.5, 0.0), "far too sure": (2.5, 0.0),
          "not sure enough": (0.6, 0.0), "shifted": (1.0, 0.5)}  # fmt: skip
"""What the true logits are multiplied by, and what is added."""
_POPULATION = 1_000_000
_DIVISIONS = 10


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1000, help="simulated test sets of each model")
    parser.add_argument("--images", type=int, default=656, help="of each of them")
    parser.add_argument("--features", type=Path, nargs=2, metavar=("FEATURES", "SPLITS"), help="the demo's folders")
    options = parser.parse_args()
    print("| probabilities | true error | mean of the sets | held by the interval | width |\n" + "|---" * 5 + "|")
    for name, (factor, shift) in MODELS.items():
        print(f"| {name} | {_cover(factor, shift, options.images, options.sets)} |", flush=True)
    if options.features:
        print("\n| strength C | temperatures | log loss before | after | raised in | by at most | other verdicts |")
        print("|---" * 7 + "|")
        examples = _read(*options.features)
        for strength in (0.0003, 0.003, 0.01, 0.03, 0.1):
            print(f"| {strength:g} | {_harm(*examples, strength)} |", flush=True)


def _cover(factor: float, shift: float, images: int, sets: int) -> str:
    truth = smooth_calibration_error(*_population(factor, shift))
    errors, held, widths = [], [], []
    for seed in range(sets):
        random = np.random.default_rng(seed)
        logits = random.normal(0.3, 2.5, images)
        predicted, observed = expit(factor * logits + shift), random.random(images) < expit(logits)
        low, high = calibration_interval(predicted, observed, np.arange(images), 0.95, 200, seed) or (0.0, 0.0)
        errors.append(smooth_calibration_error(predicted, observed))
        held.append(low <= truth <= high)
        widths.append(high - low)
    return f"{truth:.4f} | {np.mean(errors):.4f} | {np.mean(held):.1%} | {np.mean(widths):.3f}"


def _population(factor: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Every image with its true probability for what is observed: no noise is left in it."""
    logits = np.random.default_rng(0).normal(0.3, 2.5, _POPULATION)
    return expit(factor * logits + shift), expit(logits)


def _read(features_dir: Path, splits_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    parts = ("train", "validation")
    features = np.concatenate([np.load(features_dir / f"{part}.npy", mmap_mode="r")[:, 0] for part in parts]).astype(np.float32)
    return features, np.concatenate([pd.read_csv(splits_dir / f"{part}.csv")["label"] for part in parts])


def _harm(features: np.ndarray, labels: np.ndarray, strength: float) -> str:
    """Of logistic regressions on the frozen features, the weaker regularized the surer."""
    temperatures, losses, differ = [], [], 0
    for seed in range(_DIVISIONS):
        rest, held_out = train_test_split(np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=seed)
        train, validation = train_test_split(rest, test_size=0.1, stratify=labels[rest], random_state=seed)
        scaler = StandardScaler().fit(features[train])
        head = LogisticRegression(C=strength, max_iter=500, tol=1e-3).fit(scaler.transform(features[train]), labels[train])
        judged, unseen = (head.decision_function(scaler.transform(features[some]))[:, None] for some in (validation, held_out))
        temperatures.append(fit_temperature(judged, labels[validation][:, None], np.ones(len(validation))).value)
        shares = [probabilities_of(unseen / value) for value in (1.0, temperatures[-1])]
        losses.append([log_loss(labels[held_out], each) for each in shares])
        differ += int((predict_labels(shares[0], 0.5) != predict_labels(shares[1], 0.5)).sum())
    before, after = np.array(losses).T
    change = after - before
    raised = f"{(change > 0).sum()} of {_DIVISIONS} | {max(change.max(), 0):.4f}"
    span = f"{min(temperatures):.2f} to {max(temperatures):.2f}"
    return f"{span} | {before.mean():.4f} | {after.mean():.4f} | {raised} | {differ} of {_DIVISIONS * len(held_out)}"


if __name__ == "__main__":
    main()
