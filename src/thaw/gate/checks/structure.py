"""Checks of the classes and splits as a whole."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from shlex import quote

import numpy as np

from thaw.gate.findings import Findings
from thaw.gate.rows import Rows
from thaw.gate.scan.survey import Spelling
from thaw.layout import class_name
from thaw.params.gate import LimitParams

Counts = dict[str, dict[str, int]]
"""split ("" without splits) -> class -> usable images."""


def count_images(rows: Rows, classes: Mapping[str, set[str]], findings: Findings) -> Counts:
    """Usable images of each class folder, the empty ones included; in order of name."""
    counts = {split: dict.fromkeys(sorted(labels), 0) for split, labels in sorted(classes.items())}
    fit = usable(rows, findings)
    for (split, label), images in Counter(zip(rows.splits[fit], rows.labels[fit], strict=True)).items():
        if label in counts.get(split, {}):
            counts[split][label] = images
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


def _check_split(
    split: str, labels: Mapping[str, int], everything: set[str], limits: LimitParams, findings: Findings
) -> None:
    prefix = f"{split}/" if split else ""
    alike = set(map(_fold, labels)) if findings.severities.class_name_collision == "block" else set()
    missing = sorted(label for label in everything - set(labels) if _fold(label) not in alike)
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


def check_spellings(folders: Sequence[Spelling], findings: Findings) -> None:
    """Report class folders whose names differ by case or form alone, within a split and from split to split.

    From split to split one name in two Unicode forms is one class, and so is no finding. Other names that are alike are taken
    for one class, called as in the training split; within a split nobody can tell whether they are one.
    """
    groups: dict[str, list[Spelling]] = defaultdict(list)
    for folder in folders:
        groups[_fold(_name(folder))].append(folder)
    for group in groups.values():
        twice = {folder.split for folder in group if sum(other.split == folder.split for other in group) > 1}
        for folder in group:
            if folder.split in twice:
                others = [repr(_name(one)) for one in group if one.split == folder.split and one != folder]
                reason = f"differs from {', '.join(others)} by case or form alone"
                findings.add("class_name_collision", f"{folder.path}/", reason)
        if not twice:
            _report_other_spellings(sorted(group, key=lambda folder: folder.split != "train"), findings)


def _report_other_spellings(group: Sequence[Spelling], findings: Findings) -> None:
    """Of folders of as many splits, the first of which is called as all should be."""
    first = group[0]
    for folder in group[1:]:
        if class_name(_name(folder)) != class_name(_name(first)):
            reason = f"is called {_name(first)!r} in {first.split}/: by case or form alone it would be another class"
            own = f"{findings.folder}/{folder.path}"
            wanted = own.removesuffix(_name(folder)) + _name(first)
            command = f"mv {quote(own)} {quote(wanted)}"
            findings.add("class_name_collision", f"{folder.path}/", reason, cure=f"Call them alike: `{command}`.")


def _name(folder: Spelling) -> str:
    return folder.path.rsplit("/", 1)[-1]


def _fold(name: str) -> str:
    """What names that differ by case, Unicode form or outer spaces alone have in common."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def usable(rows: Rows, findings: Findings) -> np.ndarray:
    """Which images may train, as bool."""
    return ~rows.are_in(findings.verdicts)
