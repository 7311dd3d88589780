"""Labels in the images' names: `cat.0.jpg`, `Abyssinian_12.jpg`, `0003-oak.png`."""

import re
from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath

from thaw.errors import ThawError
from thaw.intake.reading import Undecided

_GUESSES = (
    r"(?P<label>[^/]*[^/\d\W_])[ ._-]*\(?\d+\)?\.\w+$",
    r"(?:^|/)\d+[ ._-]+(?P<label>[^/\d\W_][^/]*?)\.\w+$",
    r"(?:^|/)(?P<label>[^/\d\W_]+)[ ._-][^/]+\.\w+$",
)
"""The label before a number; after a number; before anything else. A label begins or ends in a letter."""
# fmt: off
_CAMERAS = frozenset((
    "img", "image", "images", "dsc", "dscn", "dscf", "dcim", "pic", "picture", "photo", "frame", "mvi", "wp", "pxl", "p",
    "screenshot", "screen", "scan", "file", "download", "untitled", "unsplash", "sample", "train", "test", "val", "crop",
    "tile", "patch", "x",
))
# fmt: on


def read_pattern(pattern: str, images: Collection[str]) -> dict[str, tuple[str, str]]:
    """Image -> label and split (empty without a group `split`), of the images that `pattern` fits somewhere in their path.

    Raises:
        ThawError: it is no regular expression, has no group `label`, or fits no image.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ThawError(f"--label-pattern {pattern!r}: {error}", "Mend the regular expression.") from None
    if "label" not in compiled.groupindex:
        example = r"(?P<label>[^/]+)_\d+\.jpg$"
        raise ThawError(
            f"--label-pattern {pattern!r}: has no group called label", f"Name what holds it: '{example}'."
        )
    has_split = "split" in compiled.groupindex
    found = {}
    for image in images:
        hit = compiled.search(image)
        if hit and hit["label"]:
            found[image] = (hit["label"], (hit["split"] or "") if has_split else "")
    if not found:
        raise ThawError(
            f"--label-pattern {pattern!r}: fits no image's path, as {next(iter(images), '')}",
            "It is searched for in the path below the folder, suffix included.",
        )
    return found


def guess_pattern(images: Collection[str]) -> str:
    """The first pattern that gives every image a class that others have too; empty where none does."""
    for pattern in _GUESSES:
        hits = [re.search(pattern, image) for image in images]
        if all(hits):
            labels = Counter(hit["label"] for hit in hits if hit)
            if _are_classes(labels, len(images)):
                return pattern
    return ""


def _are_classes(labels: Counter[str], images: int) -> bool:
    """Two or more, each of several images, none of them what a camera or a program calls its pictures."""
    words = {re.split(r"[\W\d_]", label.casefold())[0] for label in labels}
    return len(labels) > 1 and min(labels.values()) > 1 and len(labels) <= images / 3 and not words & _CAMERAS


def require_no_boxes(images: Collection[str], others: Collection[str]) -> None:
    """Refuse pictures with a file of boxes each: they are for detection.

    Raises:
        Undecided: most of them have one.
    """
    stems = {
        PurePosixPath(path).stem
        for path in others
        if PurePosixPath(path).suffix.casefold() in (".txt", ".xml", ".json")
    }
    paired = sum(PurePosixPath(image).stem in stems for image in images)
    if paired > len(images) / 2:
        raise Undecided(
            f"{paired} of {len(images)} images have a text of their own (boxes, as for YOLO or VOC), and none a class",
            advice="thaw classifies whole pictures: cut the boxes out, one folder a class.",
        )
