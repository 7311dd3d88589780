"""The model card in Markdown, with the nine headings of Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thaw.files import write_text
from thaw.reporting.headline import called, count_alike
from thaw.reporting.result import Measure, Result

_MOST_ROWS = 20
_NO_SHARE = ("log_loss",)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
_VERDICTS = {"pass": "passed", "warn": "passed, with warnings", "block": "blocked"}


@dataclass(frozen=True)
class Standing:
    """What the card tells beyond the result: whose data and weights these are, and what the model is for."""

    intended_use: str
    """Empty: nobody has said."""
    data_licence: str
    """Empty: not known."""
    weights_licence: str
    images_digest: str
    """SHA-256 over all images' paths and hashes."""
    calibration: Mapping[str, Any]
    """`temperature`, and metrics `before` and `after` it; empty: nothing was calibrated."""


def write_card(path: Path, result: Result, standing: Standing) -> None:
    """Write the card, whole or not at all."""
    write_text(path, card(result, standing))


def card(result: Result, standing: Standing) -> str:
    """The card as Markdown: the same text for the same values."""
    accuracy = result.metrics["accuracy"]
    parts = [
        f"# Model card: {_architecture(result)}, {_of_classes(result)}",
        f"**{_share(accuracy, result.coverage)} of {len(result.labels):,} test images are classified correctly.**",
        "## Model details\n\n" + _details(result, standing),
        "## Intended use\n\n" + _use(result, standing),
        "## Factors\n\n" + _factors(result),
        "## Metrics\n\n" + _metrics(result),
        "## Evaluation data\n\n" + _evaluation_data(result),
        "## Training data\n\n" + _training_data(result, standing),
        "## Quantitative analyses\n\n" + _analyses(result, standing),
        "## Ethical considerations\n\n" + _ethics(standing),
        "## Caveats and recommendations\n\n" + _caveats(result),
        "## Reproduce\n\n" + _reproduce(result),
    ]
    return "\n\n".join(parts) + "\n"


def _details(result: Result, standing: Standing) -> str:
    model = result.model.get("model", {})
    height, width, channels = result.model["input_shape"]
    kind = "grey" if channels == 1 else "RGB"
    threshold = float(result.model.get("threshold", 0.5))
    decision = (
        f"{_name(result.classes[1])} from a probability of {threshold:g} on, else {_name(result.classes[0])}"
        if len(result.classes) == 2
        else "the likeliest class"
    )
    rows = [
        ("network", f"{_name(_architecture(result))}, head {_name(model.get('head', ''))}"),
        ("trained", "head alone" if result.model.get("phase") == "frozen" else "head, then the upper layers (fine-tuned)"),
        ("input", f"{width} × {height} pixels, {kind}, 0 to 255"),
        ("decision", decision),
        *_unsure(result),
        *_pictures(result),
        *_averaged(result),
        ("temperature", f"{float(result.model.get('temperature', 1)):g}, inside the model"),
        ("weights began as", _name(model.get("weights", ""))),
        ("SHA-256 of the weights", f"`{result.model.get('weights_sha256', '')}`"),
    ]
    return _table(("what", "value"), rows) + "\n\n### Licences\n\n" + _licences(standing)


def _pictures(result: Result) -> Iterable[tuple[str, str]]:
    if result.trained_on:
        yield "pictures in training", result.trained_on


def _averaged(result: Result) -> Iterable[tuple[str, str]]:
    count = len(result.model.get("symmetries", []))
    if count:
        yield "test-time augmentation", f"the answer is the mean over {count} flips and turns of a picture, inside the model"


def _unsure(result: Result) -> Iterable[tuple[str, str]]:
    least = float(result.model.get("least_certainty", 0))
    if least:
        yield "unsure", f"a verdict of less certainty than {least:.3g} is not given"


def _licences(standing: Standing) -> str:
    data = _text(standing.data_licence) or "**not known**; `report.data_licence` in `params.yaml` states it"
    return _table(("of", "licence"), [
        ("images", data), ("weights to begin with", standing.weights_licence), ("thaw, which trained it", "Apache-2.0"),
    ])  # fmt: skip


def _use(result: Result, standing: Standing) -> str:
    unstated = "**Nobody has said what this model is for**; `report.intended_use` in `params.yaml` says it here."
    return (
        f"{_text(standing.intended_use) or unstated}\n\n"
        f"- It tells pictures {_of_classes(result)} apart. Every picture is given one of the classes, also one that shows none "
        "of them.\n"
        "- It was judged on pictures of the same origin as those it was trained on. Of other cameras, places or times nothing "
        "is known until it was tested on them.\n"
        "- It was not made to decide about people without somebody who looks at each decision."
    )


def _factors(result: Result) -> str:
    names = dict.fromkeys(_text(part.name) for part in result.slices)
    told = f"The test images were looked at apart by {', '.join(names)}" if names else "No slices were looked at"
    by_class = "" if "class" in names else ", and by class"
    return f"{told}{by_class}. Of what is neither in the metadata nor measured in the pictures nothing is known."


def _metrics(result: Result) -> str:
    positive = f" Precision, recall and F1 are of {_name(result.classes[1])}." if len(result.classes) == 2 else ""
    return (
        f"Accuracy is the share of test images given their own class.{positive} Intervals cover the truth in "
        f"{100 * result.coverage:g} % of samples like this one; images of one group count as one. They tell the chance of the "
        "draw of test images, and not that of training."
    )


def _evaluation_data(result: Result) -> str:
    crossing = len(result.crossings)
    seen = (
        f"**{count_alike(result)} one that the model saw in training**: the accuracy may be too good."
        if crossing
        else "None of them looks like one that the model saw in training, as far as the gate can tell."
    )
    return f"{len(result.labels):,} images that were held out: neither training nor any choice has seen them. {seen}"


def _training_data(result: Result, standing: Standing) -> str:
    splits = list(result.split_counts)
    counts = np.array([result.split_counts[name] for name in splits])
    chosen = _most(counts.sum(axis=0).argsort(kind="stable")[::-1], len(result.classes))
    rows = [(_name(result.classes[label]), *(f"{count:,}" for count in counts[:, label])) for label in chosen]
    rows.append(("all", *(f"{count:,}" for count in counts.sum(axis=1))))
    findings = result.findings
    return (
        f"{findings['totals']['images']:,} images, {findings['totals']['fit']:,} fit to use; the data gate "
        f"{_VERDICTS[findings['status']]}. Data version (SHA-256 over the names and hashes of the images): "
        f"`{standing.images_digest}`.{_shown(result, 'the largest')}\n\n{_table(('class', *splits), rows)}"
    )


def _analyses(result: Result, standing: Standing) -> str:
    overall = [(_text(called(name)), *_cells(name, value)) for name, value in result.metrics.items()]
    recalls = [values["recall"].value for values in result.class_measures]
    order = np.argsort([2.0 if value is None else value for value in recalls], kind="stable")
    classes = [
        (_name(result.classes[label]), *(_plain_share(result.class_measures[label][name]) for name in ("recall", "precision")))
        for label in _most(order, len(result.classes))
    ]
    head = ("metric", "value", f"{100 * result.coverage:g} % interval")
    parts = [
        _table(head, overall) + _out_of_fold(result),
        f"### Classes{_shown(result, 'the lowest recall')}\n\n" + _table(("class", "recall", "precision"), classes),
        *_slices(result),
        "### Calibration\n\n" + _calibration(standing.calibration),
    ]
    return "\n\n".join(parts)


def _out_of_fold(result: Result) -> str:
    found = result.out_of_fold
    if found is None:
        return ""
    return (
        f"\n\nOf {found.folds} heads on the frozen network, each judged on those of the {found.images:,} training and "
        f"validation images that it had not seen: {_share(found.accuracy, result.coverage)}, standard deviation between folds "
        f"{100 * found.sd:.1f} points."
    )


def _slices(result: Result) -> Iterable[str]:
    """What the report says of slices: whether any is worse beyond chance, and the lowest of each kind."""
    worse = [f"{_text(part.name)}: {_name(part.value)}" for part in result.slices if part.is_worse]
    if worse:
        yield f"**Worse than the rest, beyond chance** (corrected for looking at many): {'; '.join(worse[:_MOST_ROWS])}."
    elif result.slices:
        yield "No slice is worse than the rest beyond chance, corrected for looking at many."
    for column in dict.fromkeys(part.name for part in result.slices):
        parts = sorted((part for part in result.slices if part.name == column), key=lambda part: part.accuracy.value or 0.0)
        rows = [(_name(part.value), f"{part.images:,}", _plain_share(part.accuracy)) for part in parts[:_MOST_ROWS]]
        yield f"### {_text(column)}\n\n" + _table((_text(column), "images", "accuracy"), rows)


def _calibration(calibration: Mapping[str, Any]) -> str:
    if not calibration:
        return "The probabilities are the network's own: no temperature was fitted. Log loss, above, tells how good they are."
    before, after = calibration.get("before", {}), calibration.get("after", {})
    names = [name for name, value in after.items() if isinstance(value, int | float)]
    rows = [(_text(called(name)), *(_with_ends(values, name) for values in (before, after))) for name in names]
    return (
        f"The logits are divided by a temperature of {float(calibration.get('temperature', 1)):g}, fitted on the validation "
        f"images; all figures are of the test images.\n\n{_table(('metric', 'before', 'after'), rows)}"
    )


def _with_ends(values: Mapping[str, Any], name: str) -> str:
    ends = values.get("interval", {}).get(name)
    return f"{values[name]:.4f}" + (f" ({ends['low']:.4f} to {ends['high']:.4f})" if ends else "")


def _ethics(standing: Standing) -> str:
    terms = (
        f"\n- The images' terms go with what is made of them: {_text(standing.data_licence)}."
        if standing.data_licence
        else "\n- Whether the images may be used in this way nobody has said: their licence is not known."
    )
    commercial = (
        " It forbids commercial use (NC) and asks that what is made of it be shared alike (SA)."
        if "NC-SA" in standing.data_licence
        else ""
    )
    return (
        "- Whether people are shown, and whether they agreed, thaw cannot know."
        f"{terms}{commercial}\n- Mistakes cost differently in each direction; the threshold decides which are made more often."
    )


def _caveats(result: Result) -> str:
    accuracy = result.metrics["accuracy"]
    commonest = int(np.bincount(result.labels).argmax())
    chance = float(np.mean(result.labels == commonest))
    found = [f"Always saying {_name(result.classes[commonest])} would be right in {100 * chance:.1f} %."]
    if accuracy.low is not None and accuracy.high is not None:
        half = 100 * (accuracy.high - accuracy.low) / 2
        found.append(
            f"With {len(result.labels):,} test images a difference in accuracy below {half:.1f} points between two models may "
            "be chance."
        )
    weak = [
        _name(name)
        for name, measures in zip(result.classes, result.class_measures, strict=True)
        if measures["recall"].low is not None and measures["recall"].low < 0.5
    ]
    if weak:
        more = f" and {len(weak) - 5:,} more" if len(weak) > 5 else ""
        found.append(f"It cannot be ruled out that less than half is found of {', '.join(weak[:5])}{more}.")
    checks = result.findings["checks"]
    found += [f"The gate found: {_text(name.replace('_', ' '))}, {count:,} times." for name, count in checks.items()]
    found.append("Test it again on pictures of the place where it is to work, and watch what it is given there.")
    return "\n".join(f"- {line}" for line in found)


def _reproduce(result: Result) -> str:
    return (
        "    thaw restore NUMBER   # `thaw runs` lists them; parameters, data and results as they were\n"
        "    dvc repro --force     # the same bytes again\n\n"
        + _table(("what", "SHA-256"), [(_text(name), f"`{value}`") for name, value in result.digests.items()])
        + "\n\nMade by thaw. `reports/result.html` shows the same with pictures."
    )


def _architecture(result: Result) -> str:
    return str(result.model.get("model", {}).get("architecture", "network"))


def _of_classes(result: Result) -> str:
    names = [_name(name) for name in result.classes]
    return f"of {len(names):,} classes" if len(names) > 5 else f"of {', '.join(names[:-1])} and {names[-1]}"


def _most(order: np.ndarray, count: int) -> list[int]:
    return [int(label) for label in order[: min(count, _MOST_ROWS)]]


def _shown(result: Result, which: str) -> str:
    return f" ({which}, {_MOST_ROWS} of {len(result.classes):,})" if len(result.classes) > _MOST_ROWS else ""


def _share(measure: Measure, coverage: float) -> str:
    if measure.value is None or measure.low is None or measure.high is None:
        return _plain_share(measure)
    ends = f"{100 * measure.low:.1f} to {100 * measure.high:.1f}"
    return f"{100 * measure.value:.1f} % ({100 * coverage:g} % interval: {ends})"


def _plain_share(measure: Measure) -> str:
    if measure.value is None:
        return "not defined"
    ends = "" if measure.low is None or measure.high is None else f" ({100 * measure.low:.1f} to {100 * measure.high:.1f})"
    return f"{100 * measure.value:.1f} %{ends}"


def _cells(name: str, measure: Measure) -> tuple[str, str]:
    if measure.value is None:
        return "not defined", ""
    is_share = name not in _NO_SHARE
    shown = f"{100 * measure.value:.1f} %" if is_share else f"{measure.value:.3f}"
    if measure.low is None or measure.high is None:
        return shown, ""
    low, high = (f"{100 * end:.1f}" if is_share else f"{end:.3f}" for end in (measure.low, measure.high))
    return shown, f"{low} to {high}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(lines)


def _name(name: str) -> str:
    return f"“{_text(name)}”"


def _text(text: str) -> str:
    """Text that Markdown leaves as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
