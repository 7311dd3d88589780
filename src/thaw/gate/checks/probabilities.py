"""Which class the probabilities of `metadata.csv` are of. It is decided here, once: the manifest's column says it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thaw.gate.checks.metadata import PROBABILITY, Metadata, number
from thaw.gate.checks.structure import usable
from thaw.gate.findings import Findings
from thaw.gate.rows import Rows

_EVEN = 0.5


def name_probabilities(metadata: Metadata, rows: Rows, findings: Findings) -> Metadata:
    """Hold the probabilities against the labels of the usable images.

    A column `probability` is of the one of two classes whose images mostly have more than 0.5, where those of the other mostly
    have less. Where that holds of neither it is no probability of a class, or nobody can tell of which.

    Returns:
        The metadata; the column is called `probability_<class>` where the class is known.
    """
    columns = [name for name in metadata.columns if name.partition("_")[0] == PROBABILITY]
    if not columns:
        return metadata
    fit = usable(rows, findings)
    labels, paths = rows.labels[fit], [path for path, is_fit in zip(rows.paths, fit, strict=True) if is_fit]
    classes = sorted(set(labels))
    if len(classes) < 2:
        return metadata
    at = metadata.columns.index(columns[0])
    given = np.array([number(metadata.values[path][at]) if path in metadata.values else math.nan for path in paths])
    positive, reason = class_of_probability(columns, classes, labels, given)
    if reason:
        findings.add("probability_unclear", ".", reason)
    if not positive:
        return metadata
    _compare(positive, paths, labels, given, findings)
    for path in (path for path, value in zip(paths, given, strict=True) if math.isnan(value)):
        if path in metadata.values and not metadata.values[path][at].strip():
            findings.add("probability_missing", path, f"no probability of {positive!r}; its label counts as certain")
    named = [f"{PROBABILITY}_{positive}" if name == columns[0] else name for name in metadata.columns]
    return replace(metadata, columns=named)


def class_of_probability(
    columns: Sequence[str], classes: Sequence[str], labels: np.ndarray, given: np.ndarray
) -> tuple[str, str]:
    """The class that the probabilities are of, or why that cannot be told; neither where there are none.

    Args:
        columns: names of the columns of probabilities.
        classes: two or more names.
        labels: str `(images,)`, the class of each image.
        given: float `(images,)`, the first column's values; NaN where there is none.
    """
    if len(columns) > 1:
        return "", f"the columns {' and '.join(columns)}: one is enough, the other class has the rest"
    if len(classes) > 2:
        return "", f"{columns[0]} is of one of two classes, and there are {len(classes)}"
    named = columns[0].partition("_")[2]
    if named:
        return (named, "") if named in classes else ("", f"{columns[0]}: there is no class {named!r}")
    if np.isnan(given).all():
        return "", ""
    above, below = ([int((side & (labels == name)).sum()) for name in classes] for side in (given > _EVEN, given < _EVEN))
    for this, other in ((0, 1), (1, 0)):
        if above[this] > below[this] and above[other] < below[other]:
            return classes[this], ""
    sides = ", ".join(
        f"{high} of {name!r} above and {low} below" for name, high, low in zip(classes, above, below, strict=True)
    )
    return "", f"probability: of which class? Of {_EVEN:g}, the images are {sides}"


def _compare(positive: str, paths: Sequence[str], labels: np.ndarray, given: np.ndarray, findings: Findings) -> None:
    against = np.where(labels == positive, given < _EVEN, given > _EVEN)
    for at in map(int, np.flatnonzero(against)):
        reason = f"labelled {labels[at]!r}, with a probability of {positive!r} of {given[at]:g}"
        findings.add("probability_contradicts", paths[at], reason, float(given[at]), _EVEN, is_image=True)
