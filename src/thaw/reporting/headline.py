"""The top of the page: how good the model is, how sure that is, and what to do next."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from thaw.reporting.charts import interval_bar, percent
from thaw.reporting.gallery import linked_cells
from thaw.reporting.result import Measure, Result
from thaw.run_slot import SLOT

_NAMES = {"f1": "F1", "roc_auc": "ROC-AUC"}
_NO_SHARE = ("log_loss",)


def headline(result: Result) -> str:
    """The accuracy with its interval, what it means in plain words, and the other metrics."""
    accuracy, images = result.metrics["accuracy"], len(result.labels)
    commonest = int(np.bincount(result.labels).argmax())
    chance = float(np.mean(result.labels == commonest))
    ends = "" if accuracy.low is None else f"{100 * accuracy.low:.1f} to {percent(accuracy.high)}"
    interval = f"{100 * result.coverage:g}&nbsp;% interval: <b>{ends}</b>" if ends else ""
    bar = interval_bar(accuracy, chance, f"accuracy {percent(accuracy.value)}, interval {ends}, by chance {percent(chance)}")
    return (
        f'<h1><span class="number">{percent(accuracy.value)}</span> of the test images classified correctly</h1>'
        f'<p class="lead">Accuracy on {images:,} images that the model has never seen: {int(result.correct.sum()):,} right, '
        f'{int((~result.correct).sum()):,} wrong. {interval}</p>{bar}'
        f'<p class="ends"><span>0&nbsp;%</span><span class="chanced">dashed: {percent(chance)}, always saying '
        f'“{escape(result.classes[commonest])}”</span><span>100&nbsp;%</span></p>'
        f'{SLOT}{_decision(result)}<div class="tiles">{_tiles(result)}</div>{_out_of_fold(result)}'
    )


def _decision(result: Result) -> str:
    """How probabilities become answers: the threshold of two classes and why, and what is answered by "unsure"."""
    made, told = result.decision, ""
    if len(result.classes) == 2:
        told = (
            f"<p>Precision, recall and F1 are of “{escape(result.classes[1])}”, which is said from a probability of "
            f"{100 * made['threshold']:.4g} % on{_chosen(made)}.</p>"
        )
    if "answered" in made:
        ends = made["interval"]["answered_accuracy"]
        told += (
            f"<p>The model answers {percent(made['answered'])} of the images and says “unsure” of the others: of what it "
            f"answers {percent(made['answered_accuracy'])} is right ({100 * ends['low']:.1f} to {percent(ends['high'])}). "
            "All other numbers here count every image.</p>"
        )
    return told


def _chosen(made: Mapping[str, Any]) -> str:
    if "aim" not in made:
        return ""
    ends = made.get("interval", {}).get("threshold")
    interval = f", interval {100 * ends['low']:.4g} to {100 * ends['high']:.4g} %" if ends else ""
    return f": chosen for {escape(made['aim'])}, on {made['chosen_on']:,} images that are not of the test split{interval}"


def _out_of_fold(result: Result) -> str:
    """How much the accuracy depends on which images are held out: of heads on the frozen network, which are quick to train."""
    found = result.out_of_fold
    if found is None:
        return ""
    accuracy = found.accuracy
    return (
        f"<p>How sure: on {found.folds} parts of the {found.images:,} images of training and validation, each judged by a head "
        f"on the frozen network that was trained on the others, the accuracy is {percent(accuracy.value)} &plusmn; "
        f"{100 * found.sd:.1f} (standard deviation; interval {100 * (accuracy.low or 0):.1f} to {percent(accuracy.high)}).</p>"
    )


def _tiles(result: Result) -> str:
    return "".join(
        f"<div><b>{_shown(name, measure)}</b>{escape(called(name))}{_range(name, measure)}</div>"
        for name, measure in result.metrics.items()
        if name != "accuracy"
    )


def called(metric: str) -> str:
    """A metric's name as people read it."""
    return _NAMES.get(metric, metric.replace("_", " "))


def _shown(name: str, measure: Measure) -> str:
    return percent(measure.value) if name not in _NO_SHARE or measure.value is None else f"{measure.value:.3f}"


def _range(name: str, measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return ""
    low, high = (f"{end:.3f}" if name in _NO_SHARE else f"{100 * end:.1f}" for end in (measure.low, measure.high))
    return f"<small>{low} to {high}</small>"


def _images(count: int) -> str:
    return f"{count:,} images" if count != 1 else "one image"


def count_alike(result: Result) -> str:
    """How many test images look like one that training saw, in words."""
    count = len(result.crossings)
    return f"{count:,} test images look like" if count != 1 else "1 test image looks like"


def next_steps(result: Result) -> str:
    """What the numbers ask for, the most telling first; then how to use the model."""
    steps = []
    if result.crossings:
        steps.append(
            f'<a href="#gate">{count_alike(result)} one that it saw in training</a>: the accuracy may be too good. '
            "Give such images one <code>group</code> in <code>metadata.csv</code>."
        )
    worst = next(((true, taken) for true, taken in linked_cells(result) if true != taken), None)
    if worst:
        true, taken = worst
        steps.append(
            f'<a href="#cell-{true}-{taken}">Look at the {_images(result.confusion[worst])} of '
            f"“{escape(result.classes[true])}” taken for “{escape(result.classes[taken])}”</a>, its most frequent mistake; and "
            'at the <a href="#mistakes">surest mistakes</a>: where the label is wrong, move the image and run again.'
        )
    if result.suspects:
        count = f"{result.suspects:,} labels look" if result.suspects > 1 else "1 label looks"
        steps.append(
            f"{count} wrong: <code>reports/label_suspects.html</code> shows which. Keep the rows of "
            "<code>reports/label_suspects.csv</code> that you agree with, and <code>thaw relabel</code> carries them out."
        )
    if result.model.get("phase") == "frozen":
        steps.append(
            "Thawing the upper layers did not help, and was undone: a lower <code>fine_tune.learning_rate</code> may do better."
        )
    steps.append("Try it on images of your own: <code>thaw predict IMAGES…</code>")
    return f'<h2>What to do next</h2><ol>{"".join(f"<li>{step}</li>" for step in steps)}</ol>'
