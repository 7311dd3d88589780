"""What the tables beside the images say of them: label, split, and the rest as metadata."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from thaw.errors import ThawError
from thaw.intake.columns import Chosen, choose, label_of_flags, split_column
from thaw.intake.folders import Folders
from thaw.intake.listing import Listing
from thaw.intake.matching import Index, match, path_column
from thaw.intake.reading import Undecided
from thaw.intake.tables import Table, likely_tables, read_class_names, read_table
from thaw.layout import METADATA
from thaw.roles import resolve, split_in, split_word

MOST_MISSING = 0.1
"""The share of rows without an image, or of images without a row, above which a table is not the images'."""


@dataclass(frozen=True)
class Options:
    """What the user says of the folder.

    Args:
        labels: tables, below the folder or anywhere.
        path_column, label_columns: their columns; guessed where empty. Several label columns hold 0 or 1 each.
        pattern: a regular expression with a group `label`, searched for in each image's path.
    """

    labels: tuple[str, ...] = ()
    path_column: str = ""
    label_columns: tuple[str, ...] = ()
    pattern: str = ""


@dataclass(frozen=True)
class Match:
    """A table, its columns, and the image of each row (empty without one)."""

    table: Table
    path: str
    chosen: Chosen | None
    images: list[str]
    split: str
    """The split that its name, or its folder, speaks of."""


@dataclass
class Evidence:
    """What all tables say.

    Args:
        labels: image -> label.
        splits: image -> split, by a column.
        hints: image -> split, by the name of the table, or of the folder that it lies in.
        listed: images that a table names, with a label or without.
        missing: "table: cell" of each row that names no image.
        metadata: image -> column -> value.
        tables: those that name images; `labelling`: those that label them.
    """

    labels: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    missing: dict[str, list[str]] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    tables: list[Match] = field(default_factory=list)

    @property
    def labelling(self) -> list[Match]:
        """The tables with labels."""
        return [one for one in self.tables if one.chosen]

    def arguments(self) -> tuple[str, ...]:
        """The options that name these tables and columns; none where the tables differ in them."""
        found = self.labelling
        columns = {(one.path, one.chosen.labels) for one in found if one.chosen}
        if len(columns) != 1:
            return ()
        ((path, labels),) = columns
        named = [part for one in found for part in ("--labels", one.table.path)]
        return (
            *named,
            "--path-column",
            path,
            *(part for label in labels for part in ("--label-column", label)),
        )


def gather(listing: Listing, folders: Folders, options: Options) -> Evidence:
    """Read the tables and hold them against the images.

    Raises:
        Undecided: a table can be read in two ways, or tables differ.
        ThawError: a table that `options` name is missing or names no image.
    """
    index = Index(listing.images)
    by_split: dict[str, set[str]] = {}
    for image in listing.images:
        by_split.setdefault(folders.split(image), set()).add(image)
    evidence = Evidence()
    named = dict(_locate(listing, path) for path in options.labels)
    for path in likely_tables(listing.others, listing.images):
        if path not in named:
            table = _read_if_text(listing.root / path, path, index)
            found = table and _match(table, index, by_split, folders, Options())
            if found:
                evidence.tables.append(_without_labels(found) if options.labels else found)
    for path, file in named.items():
        table = _named(file, path, index, options)
        evidence.tables.append(_labelling(table, listing, index, by_split, folders, options))
    for one in evidence.tables:
        _take(one, evidence)
    _name_numbers(listing, evidence)
    return evidence


def _read_if_text(file: Path, path: str, index: Index) -> Table | None:
    """A file that nobody named: what cannot be read is no table."""
    try:
        return read_table(file, path, index.names)
    except ThawError:
        return None


def _locate(listing: Listing, path: str) -> tuple[str, Path]:
    """What to call a table that the user names, and where it is: in the folder, or anywhere."""
    file = listing.root / path if (listing.root / path).is_file() else Path(path)
    if not file.is_file():
        raise ThawError(f"--labels {path}: no such file in {listing.root} or here", "Name a CSV file.")
    real, root = file.resolve(), listing.root.resolve()
    return (real.relative_to(root).as_posix() if real.is_relative_to(root) else path), file


def _named(file: Path, path: str, index: Index, options: Options) -> Table:
    table = read_table(file, path, index.names)
    if table is None:
        raise ThawError(f"--labels {path}: holds no table", "Name a file with a row an image.")
    for name in filter(None, (options.path_column, *options.label_columns)):
        if name not in table.columns:
            raise ThawError(
                f"--labels {path}: no column {name!r}", f"Its columns: {', '.join(table.columns)}."
            )
    return table


def _labelling(
    table: Table,
    listing: Listing,
    index: Index,
    by_split: dict[str, set[str]],
    folders: Folders,
    options: Options,
) -> Match:
    """The match of a table that the user names."""
    found = _match(table, index, by_split, folders, options)
    if found is None or not any(found.images):
        raise ThawError(
            f"--labels {table.path}: no column names images of {listing.root}",
            "Name the column with --path-column: it holds paths, or names with or without suffix.",
        )
    if found.chosen is None:
        raise ThawError(
            f"--labels {table.path}: no column looks like a label", "Name it with --label-column."
        )
    return found


def _match(
    table: Table, index: Index, by_split: dict[str, set[str]], folders: Folders, options: Options
) -> Match | None:
    split = split_in(Path(table.path).stem) or _split_around(table, folders)
    among = frozenset(by_split[split]) if split in by_split else None
    path = options.path_column or path_column(table, index, among)
    if not path:
        return None
    if options.label_columns:
        chosen: Chosen | None = Chosen(options.label_columns, split_column(table, path))
    else:
        is_ours = table.path == METADATA and path == "path" and len(folders.classes) > 1
        chosen = None if is_ours else choose(table, path)
    return Match(table, path, chosen, match(table, path, index, among), split)


def _without_labels(one: Match) -> Match:
    """A table that the user did not name: its splits and other columns count all the same."""
    return Match(one.table, one.path, None, one.images, one.split)


def _split_around(table: Table, folders: Folders) -> str:
    """The split of the folder that a table lies in."""
    around = {
        spot.split
        for folder, spot in folders.spots.items()
        if table.folder and f"{folder}/".startswith(f"{table.folder}/")
    }
    return around.pop() if len(around) == 1 else ""


def _take(one: Match, evidence: Evidence) -> None:
    table, chosen = one.table, one.chosen
    name = (chosen.split if chosen else split_column(table, one.path)) or ""
    words = table.column(name) if name else []
    meant = resolve({split_word(word) for word in words} - {""})
    label_at = [table.columns.index(label) for label in chosen.labels] if chosen else []
    path_at = table.columns.index(one.path)
    taken = {"", one.path, name, *(chosen.labels if chosen else ())}
    kept = [
        (at, column)
        for at, column in enumerate(table.columns)
        if table.has_names and column not in taken and not column.startswith("Unnamed:")
    ]
    for number, (row, image) in enumerate(zip(table.rows, one.images, strict=True)):
        if not image:
            evidence.missing.setdefault(table.path, []).append(row[path_at])
            continue
        evidence.listed.add(image)
        if name and words[number]:
            evidence.splits.setdefault(image, meant[split_word(words[number])])
        elif one.split:
            evidence.hints.setdefault(image, one.split)
        if chosen:
            _label(
                evidence, table, image, _label_in(chosen.labels, [row[at] for at in label_at], table, image)
            )
        values = evidence.metadata.setdefault(image, {})
        for at, column in kept:
            if row[at]:
                values.setdefault(column, row[at])


def _label_in(names: Sequence[str], cells: Sequence[str], table: Table, image: str) -> str:
    if len(names) == 1:
        return cells[0]
    try:
        return label_of_flags(names, cells)
    except ValueError as error:
        raise Undecided(
            f"{table.path} gives {image} several labels ({error}), and a picture has one class here",
            advice="Keep one label an image in the table.",
        ) from None


def _label(evidence: Evidence, table: Table, image: str, label: str) -> None:
    if not label:
        return
    known = evidence.labels.setdefault(image, label)
    if known != label:
        choices = [("--labels", one.table.path) for one in evidence.labelling]
        raise Undecided(
            f"{image} has two labels, {known!r} and {label!r} ({table.path})",
            *(choices if len(choices) > 1 else ()),
            advice="" if len(choices) > 1 else "Keep one row an image in the table.",
        )


def _name_numbers(listing: Listing, evidence: Evidence) -> None:
    """Give numbered labels the names that a file of classes has for them; 1.0 is 1."""
    labels = set(evidence.labels.values())
    if not labels or not all(_is_whole(label) for label in labels):
        return
    whole = {image: str(int(float(label))) for image, label in evidence.labels.items()}
    used = {one.table.path for one in evidence.labelling}
    names = read_class_names(listing.root, [path for path in listing.others if path not in used])
    numbers = set(whole.values())
    if "0" not in numbers and "0" in names and str(len(names)) in numbers:
        names = {str(int(number) + 1): name for number, name in names.items()}
    fits = numbers <= set(names) and len(names) <= max(2 * len(numbers), len(numbers) + 2)
    evidence.labels = {image: names[number] if fits else number for image, number in whole.items()}


def _is_whole(label: str) -> bool:
    try:
        return float(label) == int(float(label))
    except (ValueError, OverflowError):
        return False


def require_whole(evidence: Evidence, images: Collection[str]) -> None:
    """Refuse tables that are not those of the images.

    Args:
        images: all that a table should have a row for.

    Raises:
        Undecided: more than `MOST_MISSING` of a table's rows name no image, or of the images are in no table.
    """
    for one in evidence.labelling:
        missing = evidence.missing.get(one.table.path, [])
        if len(missing) > MOST_MISSING * len(one.images):
            raise Undecided(
                f"{len(missing)} of the {len(one.images)} rows of {one.table.path} name no image here: {shown(missing)}",
                advice="Fetch the images that are missing, or take their rows out.",
            )
    without = sorted(set(images) - evidence.listed)
    if len(without) > MOST_MISSING * len(images):
        tables = ", ".join(one.table.path for one in evidence.labelling)
        raise Undecided(
            f"{len(without)} of {len(images)} images have no row in {tables}: {shown(without)}",
            advice="Add their rows, or move them out of the folder.",
        )


def shown(names: Sequence[str], most: int = 3) -> str:
    """The first few names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
