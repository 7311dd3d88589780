"""Tables that people keep beside their images: CSV as Excel, pandas and exporters write it, in the encodings that occur."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from unicodedata import normalize

from thaw.errors import ThawError
from thaw.sources import File

PATH_NAMES = (
    "path", "file_name", "filename", "file_path", "filepath", "file", "image_path", "image_name", "image", "img",
)  # fmt: skip
"""Names of the column that holds the images, in any case: the first of them that a table has."""

_PLAIN = "a CSV in UTF-8: a first line that names the columns, `path` among them, commas between cells"
_MARKS = (  # UTF-32's begins with UTF-16's
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_OF_ONE_LANGUAGE = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp932", "cp936", "cp949", "cp950", "mac_roman", "cp850",
    "cp437", "cp866", "koi8_r", "latin_1",
)  # fmt: skip
"""What Windows, macOS and DOS write where it is no Unicode; the last one reads any bytes."""
_TRIED_NAMES = 50
_DELIMITERS = ",;\t|"
_TRIED_LINES = 50
_TRIED_LETTERS = 100_000
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
"""Excel's own first line, which names the delimiter."""


@dataclass(frozen=True)
class Table:
    """A table as it was read: text, cells as wide as `columns`."""

    columns: list[str]
    rows: list[list[str]]
    lines: list[int]
    """The line of the file that each row ends at, from 1 on."""
    encoding: str
    """As Python names it."""
    is_sure: bool
    """Whether the file itself shows its encoding; an 8-bit one is guessed."""
    delimiter: str
    skipped: int
    """Lines before the one that names the columns."""
    faults: list[str] = field(default_factory=list)
    """Lines that are left out, and why."""

    def path_column(self) -> int | None:
        """The index of the column that holds the images, by `PATH_NAMES`."""
        return _path_column(self.columns)


def read_table(path: File, names: Iterable[str] = ()) -> Table:
    """Read a CSV: UTF-8, UTF-16, UTF-32 or an 8-bit encoding, with commas, semicolons, tabs or bars.

    Rows without any text are left out, and so are columns without a name whose cells are empty or number the rows.

    Args:
        names: what some cells are likely to hold, such as the names of the images: it tells 8-bit encodings apart.

    Raises:
        ThawError: it cannot be read, holds no text, has quotes that do not match, or names a column twice or not at all.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ThawError(f"{path}: cannot be read: {error.strerror}", "Give yourself permission to read it.") from None
    text, encoding, is_sure = decode(path, data, names)
    if not text.strip():
        raise ThawError(f"{path}: is empty", f"Write {_PLAIN}; or remove it.")
    if "\0" in text:
        raise ThawError(f"{path}: holds zero bytes: it is no text, or was damaged", f"Save it anew as {_PLAIN}.")
    text, delimiter, skipped = _delimiter(text)
    try:
        return _parse(path, text, delimiter, skipped, encoding, is_sure)
    except csv.Error as error:
        raise ThawError(f"{path}: cannot be read: {error}", f"Mend its quotes, or save it anew as {_PLAIN}.") from None


def decode(path: File, data: bytes, names: Iterable[str] = ()) -> tuple[str, str, bool]:
    """The text of a file, its encoding as Python names it, and whether the file itself shows that.

    Args:
        path: the file, for messages.
        data: its bytes.
        names: as of `read_table`.

    Raises:
        ThawError: it begins as Unicode and is none.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding and b"\0" in data[:2]:  # the first letter of a header is ASCII
        encoding = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    try:
        return data.decode(encoding or "utf-8"), encoding or "utf-8", True
    except UnicodeDecodeError as error:
        if encoding:
            reason = f"{path}: begins as {encoding.removesuffix('-sig').upper()} and is not: {error.reason}"
            raise ThawError(reason, f"Save it anew as {_PLAIN}.") from None
    return *_guess(data, names), False


def _guess(data: bytes, names: Iterable[str]) -> tuple[str, str]:
    """The 8-bit encoding in which the file holds most of `names`; where that tells nothing, Windows' western one."""
    foreign = dict.fromkeys(name for name in (normalize("NFC", name) for name in names) if not name.isascii())
    tried, best = list(islice(foreign, _TRIED_NAMES)), (-1, "", "")
    for encoding in _OF_ONE_LANGUAGE:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        hits = sum(name in text for name in tried)
        if hits > best[0]:
            best = hits, text, encoding
    return best[1], best[2]


def _delimiter(text: str) -> tuple[str, str, int]:
    """The text without Excel's first line, the delimiter, and how many lines were taken away."""
    said = _SEPARATOR_LINE.match(text)
    if said:
        return text[said.end() :], said[1], 1
    beginning = text[:_TRIED_LETTERS]
    return text, max(_DELIMITERS, key=lambda delimiter: _fitness(beginning, delimiter)), 0


def _fitness(text: str, delimiter: str) -> tuple[bool, float, int]:
    """Whether the header names a path, the share of lines as wide as it, and its width: the greatest is the delimiter."""
    try:
        lines = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), _TRIED_LINES))
    except csv.Error:
        return False, 0.0, 0
    header = [name.strip() for name in lines[0]] if lines else []
    alike = sum(len(line) == len(header) for line in lines) / max(len(lines), 1)
    return _path_column(header) is not None, alike if len(header) > 1 else 0.0, len(header)


def _path_column(columns: list[str]) -> int | None:
    folded = [name.casefold() for name in columns]
    return next((folded.index(name) for name in PATH_NAMES if name in folded), None)


def _parse(path: File, text: str, delimiter: str, skipped: int, encoding: str, is_sure: bool) -> Table:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    rows, lines, faults = [], [], []
    for cells in reader:
        if not any(map(str.strip, cells)):
            continue
        if not columns:
            columns = [normalize("NFC", name.strip()) for name in cells]
        elif len(cells) == len(columns):
            rows.append(cells)
            lines.append(reader.line_num + skipped)
        else:
            line = reader.line_num + skipped
            faults.append(f"line {line} has {len(cells)} values for {len(columns)} columns")
    kept = [at for at, name in enumerate(columns) if name or not _is_idle(at, rows)]
    if len(kept) < len(columns):
        columns, rows = [columns[at] for at in kept], [[cells[at] for at in kept] for cells in rows]
    _check_names(path, columns)
    return Table(columns, rows, lines, encoding, is_sure, delimiter, skipped, faults)


def _is_idle(at: int, rows: list[list[str]]) -> bool:
    """Whether the cells of a column are empty, or the numbers of the rows as pandas writes them."""
    cells = [row[at].strip() for row in rows]
    return not any(cells) or any(cells == list(map(str, range(first, first + len(cells)))) for first in (0, 1))


def _check_names(path: File, columns: list[str]) -> None:
    cure = f"Name each column once, in {_PLAIN}."
    if "" in columns:
        raise ThawError(f"{path}: column {columns.index('') + 1} has no name", cure)
    twice = next((name for name in columns if columns.count(name) > 1), "")
    if twice:
        raise ThawError(f"{path}: names the column {twice!r} twice", cure)
