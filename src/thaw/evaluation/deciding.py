"""Choose how probabilities become answers: the threshold of an aim, and which verdicts are too unsure to be given.

Chosen on images that no network was trained on when it judged them, and none of which is of the test split.
"""

import logging
from typing import Any

import numpy as np
import pandas as pd

from thaw.decision import UNSURE, Decision, certainty_of, probabilities_of
from thaw.errors import ThawError
from thaw.evaluation.predictions import Predictions
from thaw.params import EvaluateParams
from thaw.statistics.intervals import percentile_interval, resample, share_interval
from thaw.statistics.temperature import fit_temperature, temper
from thaw.statistics.thresholds import Aim, choose_thresholds

log = logging.getLogger("thaw.evaluate")

_DIGITS = 9
_SHOWN_DIGITS = 6


def is_chosen(params: EvaluateParams) -> bool:
    """Whether anything is chosen at all."""
    return params.threshold == "auto" or bool(params.unsure or params.cost_unsure)


def held_out(
    classes: list[str],
    splits: pd.DataFrame,
    validation_logits: pd.DataFrame,
    temperature: float,
    out_of_fold: pd.DataFrame,
) -> Predictions:
    """What was said of images that were not trained on: of validation images by the model itself, of training images by the
    heads of the stage `audit`, on the frozen network, with a temperature of their own.

    Args:
        splits: the rows of the training and the validation split.
        validation_logits: `path` and logits, as `fine_tune` writes them.
        temperature: that of the model.
        out_of_fold: as `audit` writes it: the probability of each class in the last columns; may have no rows.
    """
    rows = splits.set_index("path")
    logits = validation_logits.iloc[:, 1:].to_numpy(np.float64) / temperature
    trained = out_of_fold[~out_of_fold["path"].isin(validation_logits["path"])]
    shares = out_of_fold.iloc[:, -len(classes) :].to_numpy(np.float64)
    if len(shares):
        own = fit_temperature(
            np.log(np.maximum(shares, 1e-7)),
            np.eye(len(classes))[out_of_fold["label"].to_numpy(np.int64)],
            np.ones(len(shares)),
        )
        shares = temper(shares[trained.index], own.value)
    probabilities = np.concatenate([probabilities_of(logits).reshape(-1, len(classes)), shares])
    images = rows.reindex([*validation_logits["path"], *trained["path"]])
    return Predictions(
        classes, images["label"].to_numpy(np.int64), probabilities, images["confidence"].to_numpy(np.float64),
        groups=images["group"].to_numpy(str),
    )  # fmt: skip


def choose(params: EvaluateParams, images: Predictions, seed: int) -> tuple[Decision, dict[str, Any]]:
    """The threshold of the aim and the bound of what is sure, and what `metrics.json` says of them under `decision`.

    Args:
        images: as `held_out` gives them.
        seed: of the bootstrap of the threshold's interval, which draws whole groups.

    Raises:
        ThawError: there are no images to choose on, the aim is one of two classes, or cannot be reached, or no answer would be
            left but "unsure".
    """
    aim = _aim(params)
    _check(params, images, aim)
    told: dict[str, Any] = {}
    if aim:
        threshold, told = _choose_threshold(aim, images, params, seed)
        log.info("threshold %.4f on %d images: %s", threshold, len(images), aim)
    else:
        threshold = float(params.threshold)
    least = _least_certainty(params, aim, threshold, images) if params.unsure or params.cost_unsure else 0.0
    decision = Decision(threshold, least)
    if least:
        check_answers(decision, images.probabilities, "chosen on")
        told |= {"least_certainty": least} | _band(decision, images.classes)
        log.info("verdicts of a certainty below %.4f are answered by %r", least, UNSURE)
    return decision, told | {"chosen_on": len(images)}


def check_answers(decision: Decision, probabilities: np.ndarray, what: str) -> None:
    """Refuse a decision that answers no image of those that it was `what`.

    Raises:
        ThawError: every answer would be "unsure".
    """
    if not decision.is_sure(probabilities).any():
        raise ThawError(
            f"evaluate: every image that the model is {what} would be answered by {UNSURE!r}",
            "Lower evaluate.unsure, or raise evaluate.cost_unsure.",
        )


def _aim(params: EvaluateParams) -> Aim | None:
    if params.threshold != "auto":
        return None
    if params.least_recall:
        return Aim("recall", params.least_recall)
    if params.least_precision:
        return Aim("precision", params.least_precision)
    return Aim("cost", 0.0, params.cost_false_positive, params.cost_false_negative)


def _check(params: EvaluateParams, images: Predictions, aim: Aim | None) -> None:
    params.require_classes(images.classes)
    key = "threshold" if aim else "unsure" if params.unsure else "cost_unsure"
    if not len(images):
        raise ThawError(
            f"evaluate.{key} is chosen on validation images and out of fold, and there are neither",
            "Raise split.validation_fraction, or audit.folds.",
        )
    few = int(np.bincount(images.labels, minlength=2)[1])
    if aim and aim.kind == "recall" and few < aim.fewest:
        raise ThawError(
            f"evaluate.least_recall: {aim.least:g} cannot be told from 1 by {few} images of {images.classes[1]!r}: it takes "
            f"{aim.fewest}",
            f"Lower it to {max(1 - 1 / max(few, 2), 0.5):.3g}, or give more images of this class.",
        )


def _choose_threshold(aim: Aim, images: Predictions, params: EvaluateParams, seed: int) -> tuple[float, dict[str, Any]]:
    scores, positive = images.probabilities[:, 1], images.labels == 1
    threshold = float(choose_thresholds(scores, positive, np.ones((1, len(images))), aim)[0])
    if np.isnan(threshold):
        raise ThawError(
            f"evaluate.least_{aim.kind}: {aim.least:g} is reached by no threshold on the {len(images)} validation and "
            "out-of-fold images",
            f"Lower evaluate.least_{aim.kind}, or train a better model.",
        )
    threshold = round(threshold, _DIGITS)
    drawn = [
        choose_thresholds(scores, positive, weights, aim)
        for weights in resample(images.labels, images.units, params.bootstrap_samples, seed)
    ]
    units = len(np.unique(images.units))
    ends = percentile_interval(np.concatenate(drawn), units, params.confidence) if drawn else None
    told: dict[str, Any] = {"threshold": threshold, "aim": str(aim)}
    if ends:
        told["interval"] = {"threshold": {"low": round(ends[0], _SHOWN_DIGITS), "high": round(ends[1], _SHOWN_DIGITS)}}
    return threshold, told


def _least_certainty(params: EvaluateParams, aim: Aim | None, threshold: float, images: Predictions) -> float:
    """The certainty below which no verdict is given.

    By share: that of the image up to which the share goes. By cost (Chow, "On optimum recognition error and reject tradeoff",
    IEEE Transactions on Information Theory 16, 1970): where the answer costs less than the error that is to be expected. At the
    threshold both errors are to be expected at the same cost, which falls to 0 with certainty, in proportion.
    """
    if params.unsure:
        certainty = np.sort(certainty_of(images.probabilities, threshold))
        return float(certainty[int(params.unsure * len(certainty))])
    if len(images.classes) != 2:
        return max(1 - params.cost_unsure, 0.0)
    both = aim.false_positive + aim.false_negative if aim and aim.kind == "cost" else 2.0
    return max(1 - params.cost_unsure / (threshold * (1 - threshold) * both), 0.0)


def _band(decision: Decision, classes: list[str]) -> dict[str, Any]:
    """Of two classes the probabilities between which the answer is "unsure"."""
    if len(classes) != 2:
        return {}
    threshold, least = decision
    return {"unsure_from": round(threshold * (1 - least), _SHOWN_DIGITS),
            "unsure_to": round(threshold + least * (1 - threshold), _SHOWN_DIGITS)}  # fmt: skip


def report_decision(decision: Decision, told: dict[str, Any], test: Predictions, coverage: float) -> dict[str, Any]:
    """What `metrics.json` holds under `decision`: what was chosen, and what of the test images it answers, and how well."""
    sure = decision.is_sure(test.probabilities)
    report = {"threshold": decision.threshold} | told
    if not decision.least_certainty:
        return report
    low, high = share_interval(test.correct, sure.astype(np.float64), test.units, coverage)
    return report | {
        "answered": round(float(sure.mean()), _SHOWN_DIGITS),
        "answered_accuracy": round(float(test.correct[sure].mean()), _SHOWN_DIGITS),
        "interval": report.get("interval", {})
        | {"answered_accuracy": {"low": round(low, _SHOWN_DIGITS), "high": round(high, _SHOWN_DIGITS)}},
    }
