"""Class folders whose names say that they are no classes: splits, and masks or previews beside the images they belong to."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

from thaw.gate.findings import Findings
from thaw.gate.rows import Rows
from thaw.roles import bare_stem, holds_pictures, is_twin, read_siblings


def check_class_names(rows: Rows, classes: Mapping[str, set[str]], findings: Findings) -> None:
    """Report class folders that a classifier could tell apart and that nobody meant as classes.

    Args:
        classes: split ("" without splits) to its class folders.
    """
    for split, labels in classes.items():
        folder = f"{split}/" if split else "."
        names = ", ".join(f"{label}/" for label in sorted(labels))
        roles = read_siblings(labels)
        if len(roles) > 1:
            found = ", ".join(f"{label}/" for label in sorted(roles))
            reason = f"{found} hold images directly: they name splits, not classes"
            findings.add("splits_as_classes", folder, reason)
        if any(map(is_twin, labels)) and any(holds_pictures(label) and not is_twin(label) for label in labels):
            paired = _are_paired(rows, split, labels)
            how = "hold files of the same names" if paired else "by their names"
            reason = f"{names} {how}: one picture and what belongs to it, not classes"
            findings.add("twins_as_classes", folder, reason, warn_only=not paired)


def _are_paired(rows: Rows, split: str, labels: set[str]) -> bool:
    """Whether all class folders of a split hold files of the same names, but for suffixes and `_mask`, `_thumb` and such."""
    stems: dict[str, set[str]] = defaultdict(set)
    for path, of_split, label in zip(rows.paths, rows.splits, rows.labels, strict=True):
        if of_split == split and label in labels:
            stems[label].add(bare_stem(PurePosixPath(path).name))
    return len(stems) == len(labels) and len({frozenset(found) for found in stems.values()}) == 1
