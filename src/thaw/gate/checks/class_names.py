"""Class folders whose names say that they are no classes: splits, and masks or previews beside the images they belong to."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

from thaw.gate.findings import Findings
from thaw.gate.rows import Rows

# fmt: off
_SPLITS = frozenset((
    "train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation", "holdout",
))
_IMAGES = frozenset((
    "image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "original", "originals", "input",
))
_TWINS = frozenset((
    "mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "ground_truth", "gt", "thumb",
    "thumbs", "thumbnail", "thumbnails", "preview", "previews", "depth", "output",
))
# fmt: on


def check_class_names(rows: Rows, classes: Mapping[str, set[str]], findings: Findings) -> None:
    """Report class folders that a classifier could tell apart and that nobody meant as classes.

    Args:
        classes: split ("" without splits) to its class folders.
    """
    for split, labels in classes.items():
        folder = f"{split}/" if split else "."
        names = ", ".join(f"{label}/" for label in sorted(labels))
        folded = {label.casefold() for label in labels}
        if len(labels) > 1 and folded <= _SPLITS:
            reason = f"{names} hold images directly: they name splits, not classes"
            findings.add("splits_as_classes", folder, reason)
        if folded & _TWINS and folded & _IMAGES:
            paired = _are_paired(rows, split, labels)
            how = "hold files of the same names" if paired else "by their names"
            reason = f"{names} {how}: one picture and what belongs to it, not classes"
            findings.add("twins_as_classes", folder, reason, warn_only=not paired)


def _are_paired(rows: Rows, split: str, labels: set[str]) -> bool:
    """Whether all class folders of a split hold files of the same names, suffixes aside."""
    stems: dict[str, set[str]] = defaultdict(set)
    for path, of_split, label in zip(rows.paths, rows.splits, rows.labels, strict=True):
        if of_split == split and label in labels:
            stems[label].add(PurePosixPath(path).stem)
    return len(stems) == len(labels) and len({frozenset(found) for found in stems.values()}) == 1
