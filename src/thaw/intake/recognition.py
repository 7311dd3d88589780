"""Which of the layouts that people have a folder is in."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from thaw.intake import by_folder, by_name, by_table
from thaw.intake.columns import possible_labels
from thaw.intake.drafts import Clues, Draft
from thaw.intake.evidence import Evidence, Options, gather, shown
from thaw.intake.finishing import finish
from thaw.intake.folders import Folders, paired_twins, read_folders
from thaw.intake.listing import Listing, list_folder
from thaw.intake.reading import Reading, Undecided, Unreadable
from thaw.intake.telling import take_in
from thaw.roles import holds_pictures, is_twin, split_word

_LAYOUTS: tuple[Callable[[Clues], Draft | None], ...] = (
    by_table.read,
    by_folder.read,
    by_name.read,
    by_folder.read_alone,
)
"""In this order: the first that gives a draft is the folder's."""


_TABLES = (".xlsx", ".xls", ".ods", ".mat", ".npy", ".npz", ".pkl", ".h5", ".xml", ".db", ".sqlite")


def recognise(root: Path, options: Options | None = None, called: Path | None = None) -> Reading:
    """Read a folder by its names and the small files in it; no image is opened.

    Args:
        root: the folder.
        options: what the user says of it; without them the layout is told by what is there.
        called: what the user calls it, where that is another path: an archive's.

    Raises:
        Unreadable: it is in no layout that thaw reads, or in one that can be read in two ways; with what would decide it.
        ThawError: it cannot be listed, or the options do not fit it.
    """
    options = options or Options()
    listing = list_folder(root)
    try:
        _require_images(listing)
        folders = read_folders(listing.images)
        if options.pattern:
            return finish(listing, folders, Evidence(), by_name.read_by(options.pattern, listing, folders))
        _require_no_clash(folders)
        if not options.labels:
            _require_no_twins(listing, called or root)
        evidence = gather(listing, folders, options)
        clues = Clues(listing, folders, evidence, options)
        return finish(listing, folders, evidence, _draft(clues))
    except Undecided as error:
        raise error.explain(called or root) from None


def _draft(clues: Clues) -> Draft:
    for read in _LAYOUTS:
        draft = read(clues)
        if draft:
            return draft
    images = clues.listing.images
    _require_no_unnamed_label(clues)
    raise Undecided(
        f"{len(images)} images, and neither folders nor tables nor names tell their classes: {shown(images)}",
        advice=f"{_unread(clues.listing)}Lay them out as <class>/*, or name what holds the labels: `--labels FILE`, or "
        "`--label-pattern REGEX` with a group called label.",
    )


def _unread(listing: Listing) -> str:
    """Files that may hold the labels, in a form that is not read."""
    found = [path for path in listing.others if PurePosixPath(path).suffix.casefold() in _TABLES]
    return f"{shown(found)} may hold them: save it as CSV. " if found else ""


def _require_no_unnamed_label(clues: Clues) -> None:
    """Ask which column is the label, where a table names the images and none is called so."""
    for one in clues.evidence.tables:
        columns = possible_labels(one.table, one.path)
        if columns and len(set(one.images)) > len(clues.listing.images) / 2:
            named = ("--labels", one.table.path, "--path-column", one.path, "--label-column")
            raise Undecided(
                f"{one.table.path} names the images, and none of its columns is called label: {', '.join(columns)}",
                *((*named, column) for column in columns[:4]),
            )


def _require_images(listing: Listing) -> None:
    if not listing.images:
        suffixes = Counter(PurePosixPath(path).suffix or "none" for path in listing.others)
        there = shown([f"{suffix} ({count})" for suffix, count in suffixes.most_common()])
        ends = f"; its files end in: {there}" if there else ""
        raise Undecided(f"holds no images{ends}", advice=_advice(suffixes))


def _advice(suffixes: Counter[str]) -> str:
    packed = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"} & {suffix.casefold() for suffix in suffixes}
    return "Unpack the archives in it, or name one of them." if packed else "Name a folder of images."


def _require_no_clash(folders: Folders) -> None:
    if folders.clash:
        names = " and ".join(f"{name}/" for name in folders.clash)
        raise Undecided(f"{names} name the same split", advice="Rename one of them, or move it out.")


def _require_no_twins(listing: Listing, called: Path) -> None:
    """Refuse pictures beside their masks or previews: which are the images no name tells for sure."""
    twins = paired_twins(listing.images)
    if twins is None:
        return
    pictures, others = twins
    reason = f"{pictures}/ and {others}/ pair one to one by name: pictures and their masks, labels or previews, not classes"
    own = PurePosixPath(pictures)
    folders = {PurePosixPath(image).parent for image in listing.images}
    above = {folder.parent.name for folder in folders}
    inside_classes = len(above) > 1 and "" not in above and not any(map(split_word, above))
    if inside_classes and all(holds_pictures(folder.name) or is_twin(folder.name) for folder in folders):
        raise Undecided(reason, ("--label-pattern", rf"(?P<label>[^/]+)/{own.name}/[^/]+$"))
    if not called.is_dir():
        raise Undecided(reason, advice=f"Unpack it, and take in its {pictures}/ alone.")
    try:
        reading = recognise(listing.root / pictures, called=called / pictures)
        advice = f"Take in the pictures alone: `{take_in(reading, called / pictures)}`."
    except Unreadable:
        advice = (
            f"Move {others}/ out, and say what holds the labels: `--labels FILE`, or `--label-pattern REGEX`."
        )
    raise Undecided(reason, advice=advice)
