"""The small files beside the images that may name them: CSV, TSV, JSON lines, and lists in plain text."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from posixpath import basename, dirname

from thaw.errors import ThawError
from thaw.roles import bare_stem
from thaw.tables import decode

_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".lst", ".list")
_LINES = (".jsonl", ".ndjson")
_MOST_BYTES = 500_000_000
_MOST_IN_A_FOLDER = 30
"""More text files than that in one folder are no tables: they are boxes or captions, one an image."""
_SAMPLE = re.compile(r"submission|readme|licen[cs]e|requirements", re.IGNORECASE)
"""Answers to be filled in, with made-up labels, and texts."""


@dataclass(frozen=True)
class Table:
    """Rows of text, all as long as `columns`.

    Args:
        path: the file, relative to the folder of the images where it lies in it.
        columns: their names; "1", "2", ... where the file has none.
        rows: the cells.
        has_names: whether the first line names the columns.
        guessed_encoding: an 8-bit encoding that the file does not show; empty where it does.
    """

    path: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    has_names: bool
    guessed_encoding: str = ""

    @property
    def folder(self) -> str:
        """Where it lies."""
        return dirname(self.path)

    @property
    def is_metadata(self) -> bool:
        """Whether it is called as Hugging Face's `imagefolder` and thaw call theirs."""
        return PurePosixPath(self.path).stem == "metadata"

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]


def likely_tables(others: Iterable[str], images: Iterable[str]) -> list[str]:
    """The files that may be tables: none that answers are to be filled in, none that belongs to a single image."""
    stems = {bare_stem(basename(image)) for image in images}
    files = [path for path in map(PurePosixPath, others) if path.suffix.casefold() in _SUFFIXES]
    crowd = Counter(path.parent for path in files)
    return [
        str(path)
        for path in files
        if crowd[path.parent] <= _MOST_IN_A_FOLDER
        and not _SAMPLE.search(path.name)
        and bare_stem(path.name) not in stems
    ]


def read_table(file: Path, path: str, names: frozenset[str] = frozenset()) -> Table | None:
    """Read a table; None where it is empty or no table.

    Args:
        file: where it is.
        path: what to call it.
        names: the images' names, with and without their suffix: a first line that holds one of them names no columns.

    Raises:
        ThawError: it cannot be read.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            return None
        text, encoding, is_sure = decode(file, file.read_bytes(), sorted(names))
    except OSError as error:
        raise ThawError(f"{file}: {error.strerror}", "Give yourself permission to read it.") from None
    table = _parse(text, file.suffix.casefold(), path, names)
    return table if is_sure or table is None else replace(table, guessed_encoding=encoding)


def _parse(text: str, suffix: str, path: str, names: frozenset[str]) -> Table | None:
    if suffix in _LINES:
        return _from_lines(text, path)
    if suffix == ".json":
        return _from_json(text, path)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    delimiter = _delimiter(lines[:50], suffix)
    rows = _split(text, delimiter, suffix)
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    return _shape(rows, path, names) if rows else None


def _shape(rows: list[list[str]], path: str, names: frozenset[str]) -> Table | None:
    first = rows[0]
    has_names = len(rows) > 1 and not any(_known(cell, names) for cell in first) and _are_names(first)
    width = len(first) if has_names else Counter(len(row) for row in rows).most_common(1)[0][0]
    body = [(row + [""] * width)[:width] for row in (rows[1:] if has_names else rows)]
    columns = tuple(first) if has_names else tuple(str(number + 1) for number in range(width))
    return Table(path, columns, body, has_names)


def _are_names(cells: list[str]) -> bool:
    """Whether the cells of a first line may name columns: different words, one of them empty at most (a row's number)."""
    return (
        len(set(cells)) == len(cells) and cells.count("") <= 1 and not all(_is_number(cell) for cell in cells)
    )


def _known(cell: str, names: frozenset[str]) -> bool:
    name = PurePosixPath(cell.replace("\\", "/")).name
    return bool(name) and name in names


def _from_json(text: str, path: str) -> Table | None:
    """A JSON object that gives each name a value, or a list of objects."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(values, list):
        return _from_objects(values, path)
    if not isinstance(values, dict) or any(isinstance(value, list | dict) for value in values.values()):
        return None
    return (
        Table(path, ("1", "2"), [[str(key), _cell(value)] for key, value in values.items()], False)
        if values
        else None
    )


def _from_lines(text: str, path: str) -> Table | None:
    """JSON lines: an object a line."""
    try:
        return _from_objects([json.loads(line) for line in text.splitlines() if line.strip()], path)
    except ValueError:
        return None


def _from_objects(values: list[object], path: str) -> Table | None:
    """Objects as rows; values that are no text or number are left out."""
    objects = [
        {str(key): _cell(one) for key, one in value.items()} for value in values if isinstance(value, dict)
    ]
    if len(objects) < len(values):
        return None
    columns = tuple(dict.fromkeys(key for one in objects for key in one))
    return (
        Table(path, columns, [[one.get(key, "") for key in columns] for one in objects], True)
        if objects
        else None
    )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _delimiter(lines: list[str], suffix: str) -> str:
    """The sign that divides every line, and divides them in the same number of cells; a blank in lists alone."""
    signs = ("\t", ",", ";", "|")
    best = max(signs, key=lambda sign: (min(line.count(sign) for line in lines), -signs.index(sign)))
    if min(line.count(best) for line in lines):
        return best
    return " " if suffix in (".txt", ".lst", ".list") else ","


def _split(text: str, delimiter: str, suffix: str) -> list[list[str]]:
    if delimiter != " ":
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    return [_words(line) for line in text.splitlines()]


def _words(line: str) -> list[str]:
    """The cells of a line of a list: a path, which may hold blanks and then ends in a suffix, and what follows it."""
    found = re.match(r"\s*(.*\.[A-Za-z]{2,4})(?:\s+(.*?))?\s*$", line)
    if found and " " in found[1]:
        return [found[1], *(found[2] or "").split()]
    return line.split()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_class_names(folder: Path, others: Iterable[str]) -> dict[str, str]:
    """Number -> class name, of `classes.txt` (a name a line, from 0 on, or `number name`) or a JSON file that maps numbers."""
    for path in others:
        name = PurePosixPath(path).name.casefold()
        if not re.search(r"class|label|categor|names|map", name):
            continue
        if name.endswith(".json"):
            found = _numbered_json(folder / path)
        elif name.endswith((".txt", ".names")):
            found = _numbered_lines(folder / path)
        else:
            continue
        if found:
            return found
    return {}


def _numbered_json(file: Path) -> dict[str, str]:
    try:
        values = json.loads(decode(file, file.read_bytes())[0])
    except (OSError, ValueError, ThawError):
        return {}
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return {str(number): value for number, value in enumerate(values)}
    if not isinstance(values, dict) or not values:
        return {}
    if all(str(key).isdigit() and isinstance(value, str) for key, value in values.items()):
        return {str(int(key)): value for key, value in values.items()}
    if all(isinstance(value, int) for value in values.values()):
        return {str(value): str(key) for key, value in values.items()}
    return {}


def _numbered_lines(file: Path) -> dict[str, str]:
    try:
        lines = [line.strip() for line in decode(file, file.read_bytes())[0].splitlines() if line.strip()]
    except (OSError, ThawError):
        return {}
    pairs = [re.fullmatch(r"(\d+)[\s,:]+(.+)", line) for line in lines]
    if lines and all(pairs):
        return {str(int(pair[1])): pair[2].strip() for pair in pairs if pair}
    return {str(number): line for number, line in enumerate(lines)}
