"""`metadata.csv` after images got another label: the rows of these are written anew, all others keep their bytes."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np

from thaw.errors import ThawError
from thaw.gate.checks.metadata import PROBABILITY, find_metadata, known_name, number
from thaw.gate.checks.probabilities import class_of_probability
from thaw.intake.columns import is_called_label
from thaw.relabelling.folder import Folder
from thaw.tables import decode, read_table

_EVEN = 0.5


@dataclass
class _Record:
    """A row of the file: its cells, and its text with the end of its line."""

    cells: list[str]
    text: str
    image: str = ""
    """The image that it means; empty: none, or the row names the columns."""


def rewrite(root: Path, folder: Folder, targets: Mapping[str, str]) -> tuple[dict[str, bytes], list[str]]:
    """The table with the new paths of images that are to be relabelled.

    A cell that holds the image's class, in a column that is called label, class or the like, gets the new class. What was
    said of a label that was wrong is emptied: `confidence`, and a probability that speaks against the new label.

    Args:
        root: the image folder.
        folder: its images.
        targets: path of an image to its new path.

    Returns:
        The table's name to its new bytes, and what is said of it; nothing of either where no row is of these images.

    Raises:
        ThawError: the table cannot be read, or its encoding has no letters for a path.
    """
    path = find_metadata(root)
    if path is None or not targets:
        return {}, []
    table = read_table(path, [part for image in folder.paths if not image.isascii() for part in image.split("/")])
    at = table.path_column()
    if at is None:
        raise ThawError(f"{path}: has no column path", "Mend it as `thaw validate` tells, then run this again.")
    names = [part for image in folder.paths if not image.isascii() for part in image.split("/")]
    text, encoding, _ = decode(path, path.read_bytes(), names)
    before, records = _records(text, table.delimiter, table.skipped)
    header = [normalize("NFC", name.strip()) for name in records[0].cells]
    path_at = header.index(table.columns[at])
    for record in records[1:]:
        if len(record.cells) == len(header):
            found = folder.images.find(record.cells[path_at]).images
            record.image = found[0] if len(found) == 1 else ""
    changed = [record for record in records if record.image in targets]
    if not changed:
        return {}, []
    positive = _positive(header, records, folder)
    emptied = [_edit(record, header, path_at, targets[record.image], positive, folder) for record in changed]
    lines = [_write(record, table.delimiter) if record.image in targets else record.text for record in records]
    try:
        content = "".join([before, *lines]).encode(encoding)
    except UnicodeEncodeError:
        raise ThawError(f"{path}: its encoding, {encoding}, lacks letters of a new path", "Save it as UTF-8.") from None
    return {path.name: content}, _notes(path.name, len(changed), [name for names in emptied for name in names])


def _notes(name: str, rows: int, emptied: list[str]) -> list[str]:
    notes = [f"{name}: {rows:,} {'row gets its' if rows == 1 else 'rows get their'} new path"]
    for column in dict.fromkeys(emptied):
        count = emptied.count(column)
        why = "was of the old label" if column == "confidence" else "speaks against the new label"
        notes.append(f"{name}: {column} is emptied in {count:,} of them: it {why}")
    return notes


def _records(text: str, delimiter: str, skipped: int) -> tuple[str, list[_Record]]:
    """What stands before the row that names the columns, then that row and all others."""
    # As csv counts lines: at \n, \r\n and \r alone.
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(iter(lines[skipped:]), delimiter=delimiter, strict=True)
    records, begin = [], skipped
    for cells in reader:
        end = skipped + reader.line_num
        records.append(_Record(cells, "".join(lines[begin:end])))
        begin = end
    first = next(at for at, record in enumerate(records) if any(map(str.strip, record.cells)))
    before = "".join(lines[:skipped]) + "".join(record.text for record in records[:first])
    return before, records[first:]


def _positive(header: list[str], records: list[_Record], folder: Folder) -> str:
    """The class that the probabilities are of, by the gate's rule; empty where it cannot be told."""
    columns = [name for name in map(known_name, header) if name.partition("_")[0] == PROBABILITY]
    if not columns or len(folder.classes) != 2:
        return ""
    at = list(map(known_name, header)).index(columns[0])
    known = [record for record in records if record.image]
    labels = np.array([folder.class_of(record.image) for record in known])
    given = np.array([_number(record.cells[at]) for record in known])
    return class_of_probability(columns, folder.classes, labels, given)[0]


def _number(cell: str) -> float:
    return number(cell.replace(",", "."))


def _edit(
    record: _Record, header: list[str], path_at: int, target: str, positive: str, folder: Folder
) -> list[str]:
    """Change the cells of a row; the columns that were emptied."""
    old, new = folder.class_of(record.image), folder.class_of(target)
    emptied = []
    record.cells[path_at] = target
    for at, name in enumerate(map(known_name, header)):
        cell = record.cells[at].strip()
        if at == path_at or not cell:
            continue
        if is_called_label(name) and normalize("NFC", cell) == old:
            record.cells[at] = new
        elif name == "confidence" or (positive and name.partition("_")[0] == PROBABILITY and _against(cell, new == positive)):
            record.cells[at] = ""
            emptied.append(name)
    return emptied


def _against(cell: str, is_positive: bool) -> bool:
    value = _number(cell)
    return not math.isnan(value) and (value < _EVEN if is_positive else value > _EVEN)


def _write(record: _Record, delimiter: str) -> str:
    """The row as text, with the end of line that it had."""
    file = io.StringIO()
    end = record.text[len(record.text.rstrip("\r\n")) :]
    csv.writer(file, delimiter=delimiter, lineterminator="").writerow(record.cells)
    return file.getvalue() + end
