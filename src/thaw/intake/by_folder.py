"""A folder a class, with splits or without, whatever is wrapped around; lists and tables beside them may name the splits."""

from pathlib import PurePosixPath
from posixpath import dirname

from thaw.intake.by_table import BY_FOLDER
from thaw.intake.drafts import Clues, Draft
from thaw.intake.evidence import MOST_MISSING, shown
from thaw.intake.folders import Folders
from thaw.intake.reading import Undecided
from thaw.roles import TRAIN, UNLABELLED, holds_pictures

_BY_TOP_FOLDER = r"^(?P<label>[^/]+)/"


def read(clues: Clues) -> Draft | None:
    """Classes by folders; None where folders hold none, or a single one.

    Raises:
        Undecided: classes lie in classes, folders beside splits, or images outside of the classes.
    """
    return _read(clues) if len(clues.folders.classes) > 1 or _is_deep(clues.folders) else None


def read_alone(clues: Clues) -> Draft | None:
    """A folder that holds one class folder and nothing else: laid out right, and short of a class."""
    images = clues.listing.images
    alone = (
        {dirname(image) for image in images} == {PurePosixPath(images[0]).parts[0]} == clues.folders.classes
    )
    return _read(clues) if alone else None


def _is_deep(folders: Folders) -> bool:
    return any(len(spot.parts) > 1 for spot in folders.spots.values())


def _read(clues: Clues) -> Draft:
    folders, images, splits = clues.folders, clues.listing.images, clues.splits()
    _require_one_level(folders)
    labels = {image: folders.label(image) for image in images if folders.label(image)}
    more = {image: label for image, label in clues.evidence.labels.items() if image not in labels}
    more = more if _is_of_one_split(more, clues) and set(more.values()) <= set(labels.values()) else {}
    labels |= more  # of a split whose folder has no classes
    labels = _without_unlabelled(labels, splits)
    strays = [image for image in images if image not in labels and splits[image] in ("", TRAIN)]
    if strays:
        raise Undecided(
            f"{len(strays)} images lie in no class folder: {shown(strays)}",
            advice="Move them out of the folder, or into the folders of their classes.",
        )
    named = clues.evidence.splits | clues.evidence.hints
    lists = [one.table.path for one in clues.evidence.tables if any(image in named for image in one.images)]
    listed = any(splits[image] != folders.split(image) for image in labels)
    says = "a folder a class" + (", by split" if folders.has_splits else "")
    says += f", splits in {shown(sorted(lists))}" if listed else ""
    unlisted = sum(not splits[image] for image in labels)
    says += f" ({unlisted} images in none of them, which train)" if listed and unlisted else ""
    says += f", labels of the others in {clues.evidence.labelling[0].table.path}" if more else ""
    if len(folders.classes) > 1 and all(map(holds_pictures, folders.classes)):
        says += ", though their names say only that there are pictures in them"
        return Draft(says, labels, splits, guessed=True)
    return Draft(says, labels, splits, guessed=listed or bool(more))


def _is_of_one_split(labels: dict[str, str], clues: Clues) -> bool:
    """Whether a table labels whole splits: nearly every image that is in no class folder, of those splits."""
    folders = clues.folders
    splits = {folders.split(image) for image in labels}
    bare = [
        image for image in clues.listing.images if folders.split(image) in splits and not folders.label(image)
    ]
    return len(labels) >= (1 - MOST_MISSING) * len(bare)


def _require_one_level(folders: Folders) -> None:
    beside = sorted(folder for folder, spot in folders.spots.items() if not spot.split and folder)
    if folders.has_splits and beside:
        raise Undecided(
            f"{shown([f'{name}/' for name in beside])} beside the splits {', '.join(folders.split_names)}",
            advice="Move it out of the folder, or into a split.",
        )
    deep = sorted(folder for folder, spot in folders.spots.items() if len(spot.parts) > 1)
    if deep:
        raise Undecided(
            f"folders in folders, as {deep[0]}/: the classes may be the upper or the lower ones",
            ("--label-pattern", _BY_TOP_FOLDER),
            ("--label-pattern", BY_FOLDER),
        )


def _without_unlabelled(labels: dict[str, str], splits: dict[str, str]) -> dict[str, str]:
    """Leave out splits in a folder that is no class: `unlabelled/`, or the only one of a test split, unknown to train."""
    trained = {label for image, label in labels.items() if splits[image] in ("", TRAIN)}
    out = {UNLABELLED}
    for split in set(splits.values()) - {"", TRAIN}:
        own = {label for image, label in labels.items() if splits[image] == split}
        if len(own) == 1 and len(trained) > 1 and not own & trained:
            out.add(split)
    return {image: label for image, label in labels.items() if splits[image] not in out}
