"""Checks of the classes and splits as a whole."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from thaw.gate.findings import Findings
from thaw.gate.rows import Rows
from thaw.params.gate import LimitParams

Counts = dict[str, dict[str, int]]
"""split ("" without splits) -> class -> usable images."""


def count_images(rows: Rows, classes: Mapping[str, set[str]], findings: Findings) -> Counts:
    """Usable images of each class folder, the empty ones included; in order of name."""
    counts = {split: dict.fromkeys(sorted(labels), 0) for split, labels in sorted(classes.items())}
    for path, split, label in zip(rows.paths, rows.splits, rows.labels, strict=True):
        if path not in findings.verdicts and label in counts.get(split, {}):
            counts[split][label] += 1
    return counts


def check_structure(counts: Counts, limits: LimitParams, findings: Findings) -> None:
    """Report class sets, classes and names that no classifier can be trained on."""
    used = {label for labels in counts.values() for label, images in labels.items() if images}
    if len(used) < 2:
        names = ", ".join(sorted(used)) or "none"
        findings.add("too_few_classes", ".", f"classes with usable images: {names}", len(used), 2)
    everything = {label for labels in counts.values() for label in labels}
    for split, labels in counts.items():
        _check_split(split, labels, everything, limits, findings)
        _check_names(split, labels, findings)


def _check_split(
    split: str, labels: Mapping[str, int], everything: set[str], limits: LimitParams, findings: Findings
) -> None:
    prefix = f"{split}/" if split else ""
    missing = sorted(everything - set(labels))
    if missing:
        findings.add("class_sets_differ", prefix, f"lacks {', '.join(missing)}", len(labels), len(everything))
    for label, images in labels.items():
        path = f"{prefix}{label}/"
        if not images:
            findings.add("empty_class", path, "no usable image", 0, 1)
        elif images < limits.min_class_images:
            noun = "image" if images == 1 else "images"
            findings.add("tiny_class", path, f"{images} {noun}", images, limits.min_class_images)
    sizes = [images for images in labels.values() if images]
    if sizes and (ratio := max(sizes) / min(sizes)) > limits.max_imbalance:
        findings.add(
            "imbalance",
            prefix or ".",
            f"the largest class has {ratio:.0f} times the images of the smallest",
            round(ratio, 2),
            limits.max_imbalance,
        )


def _check_names(split: str, labels: Mapping[str, int], findings: Findings) -> None:
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike[unicodedata.normalize("NFKC", label).casefold().strip()].append(label)
    prefix = f"{split}/" if split else ""
    for group in alike.values():
        for label in group if len(group) > 1 else ():
            others = ", ".join(repr(other) for other in group if other != label)
            findings.add(
                "class_name_collision", f"{prefix}{label}/", f"differs from {others} by case or form alone"
            )


def usable(rows: Rows, findings: Findings) -> np.ndarray:
    """Which images may train, as bool."""
    return np.array([path not in findings.verdicts for path in rows.paths], dtype=bool)
