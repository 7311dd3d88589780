"""From a draft to a reading: every image gets its place."""

from thaw.errors import ThawError
from thaw.intake.drafts import Draft
from thaw.intake.evidence import Evidence, shown
from thaw.intake.folders import Folders
from thaw.intake.listing import Listing
from thaw.intake.placing import class_folders, place
from thaw.intake.reading import Reading
from thaw.layout import METADATA, SPLITS, Layout
from thaw.roles import TRAIN, UNLABELLED


def finish(listing: Listing, folders: Folders, evidence: Evidence, draft: Draft) -> Reading:
    """Place the images of a draft; those without a label are set aside.

    Raises:
        Undecided: two classes would share a folder.
        ThawError: something in the folder cannot be copied.
    """
    all_labelled = len(draft.labels) == len(listing.images)
    laid_out = all_labelled and not draft.arguments and _is_laid_out(listing, folders, evidence)
    if laid_out and not draft.guessed:
        return Reading(listing.root, draft.says, {image: image for image in listing.images}, as_is=True)
    for path, reason in sorted(listing.broken.items()):
        raise ThawError(f"{listing.root / path}: {reason}", "Mend it, or move it out of the folder.")
    labels = {image: label for image, label in draft.labels.items() if draft.splits[image] != UNLABELLED}
    names, notes = class_folders(set(labels.values()))
    has_splits = bool({draft.splits[image] for image in labels} - {"", TRAIN})
    placed, renamed = place(
        {
            image: f"{draft.splits[image] or TRAIN}/{names[label]}" if has_splits else names[label]
            for image, label in labels.items()
        }
    )
    left = {image for images in draft.left_out.values() for image in images}
    unlabelled, _ = place(
        {image: "" for image in listing.images if image not in placed and image not in left}
    )
    if renamed:
        notes.append(
            f"{renamed} images would have met in one folder: the names of their own folders go before theirs"
        )
    notes += [
        f"{path}: {len(cells)} rows name no image: {shown(cells)}"
        for path, cells in sorted(evidence.missing.items())
    ]
    notes += [
        f"{one.table.path} is no Unicode, and was read as {one.table.guessed_encoding}: see that the names are right"
        for one in evidence.tables
        if one.table.guessed_encoding
    ]
    columns, rows = _metadata(evidence, labels, placed)
    return Reading(
        listing.root,
        draft.says,
        placed,
        unlabelled,
        _left_out(listing, evidence, draft),
        columns,
        rows,
        optional=laid_out,
        guessed=draft.guessed,
        arguments=draft.arguments,
        notes=tuple(notes),
    )


def _is_laid_out(listing: Listing, folders: Folders, evidence: Evidence) -> bool:
    """Whether the folder is laid out as `data/raw` is already."""
    layout = Layout(folders.has_splits)
    if not all(name.casefold() in SPLITS for name in folders.split_names):
        return False
    if any(one.table.is_metadata and one.table.path != METADATA for one in evidence.tables):
        return False
    places = (layout.place(image) for image in listing.images)
    return all(place.label and not place.check for place in places)


def _left_out(listing: Listing, evidence: Evidence, draft: Draft) -> dict[str, tuple[str, ...]]:
    tables = {one.table.path for one in evidence.tables}
    reasons = {
        "no image by its name": tuple(path for path in listing.others if path not in tables),
        "hidden, or a leftover": listing.junk,
    }
    return {reason: paths for reason, paths in (draft.left_out | reasons).items() if paths}


def _metadata(
    evidence: Evidence, labels: dict[str, str], placed: dict[str, str]
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The other columns of the tables, for `metadata.csv`: not those that say the class again."""
    values = {image: evidence.metadata.get(image, {}) for image in placed}
    columns = []
    for column in dict.fromkeys(name for row in values.values() for name in row):
        pairs = {(labels[image], row[column]) for image, row in values.items() if column in row}
        says_class = (
            len(pairs) == len({label for label, _ in pairs}) == len({value for _, value in pairs}) > 1
        )
        if column != "path" and not says_class:
            columns.append(column)
    rows = {
        placed[image]: tuple(row.get(column, "") for column in columns)
        for image, row in sorted(values.items())
    }
    return tuple(columns), {target: row for target, row in rows.items() if any(row)}
