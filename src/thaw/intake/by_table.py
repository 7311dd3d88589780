"""Labels in tables: a competition's `train.csv`, Hugging Face's `metadata.csv`, lists of paths and numbers."""

import re
from collections.abc import Collection

from thaw.intake.drafts import Clues, Draft
from thaw.intake.evidence import require_whole, shown
from thaw.intake.reading import Undecided
from thaw.roles import TRAIN, UNLABELLED, holds_pictures

BY_FOLDER = r"(?P<label>[^/]+)/[^/]+$"
"""The pattern of a label that is the folder's name."""


def read(clues: Clues) -> Draft | None:
    """Labels in tables, where folders hold no classes; None without, and where both say the same.

    Raises:
        Undecided: folders hold other classes, or the tables are not those of the images.
    """
    evidence = clues.evidence
    if not evidence.labels or _folders_agree(clues):
        return None
    splits = clues.splits()
    labelled = {splits[image] for image in evidence.labels}
    unlabelled = set(splits.values()) - labelled - {TRAIN, ""} | {UNLABELLED}
    require_whole(evidence, [image for image in clues.listing.images if splits[image] not in unlabelled])
    return Draft(
        f"labels in {_tables(clues)}",
        evidence.labels,
        splits,
        guessed=not _is_told(clues),
        arguments=evidence.arguments(),
    )


def _folders_agree(clues: Clues) -> bool:
    """Whether the folders hold the classes of the tables, or those of images that no table labels."""
    folders, labels = clues.folders, clues.evidence.labels
    if len(folders.classes) < 2 or clues.options.labels:
        return False
    pairs = {(folders.label(image), label) for image, label in labels.items() if folders.label(image)}
    if len(pairs) == len({folder for folder, _ in pairs}) == len({label for _, label in pairs}):
        return True
    if _are_parts(folders.classes):
        return False
    if not any(one.chosen and one.chosen.is_certain for one in clues.evidence.labelling):
        return True  # nobody called it a label
    raise Undecided(
        f"the folders say {shown(sorted(folders.classes))}, and {clues.evidence.labelling[0].table.path} says "
        f"{shown(sorted(set(labels.values())))}: two classes for one image",
        clues.evidence.arguments(),
        ("--label-pattern", BY_FOLDER),
    )


def _are_parts(names: Collection[str]) -> bool:
    """Whether folders only hold the pictures in parts: they say nothing else, or differ in a number alone (`images_1`)."""
    texts = {re.sub(r"\d+", "", name) for name in names}
    return all(map(holds_pictures, names)) or (len(names) > 1 and texts != {""} and len(texts) == 1)


def _is_told(clues: Clues) -> bool:
    """Whether nothing is guessed: the user named the columns, or they are those of Hugging Face's `imagefolder`."""
    options = clues.options
    if options.labels:
        return bool(options.path_column and options.label_columns)
    return all(
        one.table.is_metadata and one.path == "file_name" and one.chosen and one.chosen.labels == ("label",)
        for one in clues.evidence.labelling
    )


def _tables(clues: Clues) -> str:
    """The tables and their columns, in words."""
    parts = []
    for one in clues.evidence.labelling:
        labels = one.chosen.labels if one.chosen else ()
        how = f"labels in {labels[0]}" if len(labels) == 1 else f"one-hot labels in {', '.join(labels)}"
        split = f", splits in {one.chosen.split}" if one.chosen and one.chosen.split else ""
        parts.append(f"{one.table.path} (paths in column {one.path}, {how}{split})")
    return " and ".join(parts)
