"""`metadata.csv`: read, its rows given to the images that they mean, and turned into columns of the manifest."""

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

import numpy as np
import pyarrow as pa

from thaw.errors import ThawError
from thaw.gate.checks.matching import Images
from thaw.gate.findings import Findings
from thaw.gate.rows import Rows
from thaw.gate.scan.links import may_lead_to
from thaw.layout import METADATA
from thaw.sources import File, located
from thaw.tables import Table, read_table

PROBABILITY = "probability"
"""The column, or what its name begins with: `probability_<class>`."""
_SAMPLE_ROWS = 100
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")


@dataclass
class Metadata:
    """The columns of `metadata.csv` besides the images' own, and its rows."""

    columns: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)
    """Path of an image -> its cells."""
    strays: list[str] = field(default_factory=list)
    """What the rows that fit no image call it."""

    def filled(self, path: str) -> int:
        """How much is told of an image: 0 without a row, else one more than its cells that are not empty."""
        cells = self.values.get(path)
        return 0 if cells is None else 1 + sum(map(bool, map(str.strip, cells)))

    def teaching(self) -> list[str]:
        """The columns that decide how images are divided, taught or counted; the others make slices alone."""
        return [name for name in self.columns if name == "group" or is_number(name)]


def read_metadata(root: Path, images: Sequence[str], findings: Findings) -> Metadata:
    """Read the table beside the classes, where there is one; report what is wrong with it.

    Args:
        images: their paths below `root`.
    """
    path = find_metadata(root)
    if path is None or (isinstance(path, Path) and not may_lead_to(os.path.realpath(path), os.path.realpath(root))):
        return Metadata()  # of a link that leads out the walk has told
    words = dict.fromkeys(part for image in images if not image.isascii() for part in image.split("/"))
    try:
        table = read_table(path, words)
    except ThawError as error:
        findings.add("metadata_invalid", path.name, error.reason.removeprefix(f"{path}: "), cure=error.cure)
        return Metadata()
    for fault in table.faults:
        findings.add("metadata_invalid", path.name, fault)
    at, columns = table.path_column(), [known_name(name) for name in table.columns]
    if at is None or len(set(columns)) < len(columns):
        twice = ", ".join(name for name, count in Counter(columns).items() if count > 1)
        reason, cure = (f"names the column {twice} twice", "") if twice else _say_no_path(table, images, path.name, findings)
        findings.add("metadata_invalid", path.name, reason, cure=cure)
        return Metadata()
    columns.pop(at)
    metadata = Metadata(columns)
    notes = _say_reading(table, at, columns) + _place(metadata, table, at, images, path.name, findings)
    _read_decimal_commas(metadata, table.delimiter)
    if notes:
        findings.add("metadata_read_as", path.name, "; ".join(notes))
    return metadata


def find_metadata(root: Path) -> File | None:
    """The table that is read: `metadata.csv`, or the only file whose name differs from it by case alone."""
    folder = located(root)
    path = folder / METADATA
    if path.is_file():
        return path
    others = [child for child in folder.iterdir() if child.name.casefold() == METADATA and child.is_file()]
    return others[0] if len(others) == 1 else None


def known_name(name: str) -> str:
    """`name`, or the column that thaw knows and that differs from it by case alone."""
    first, mark, rest = name.partition("_")
    if first.casefold() == PROBABILITY:
        return PROBABILITY + mark + rest
    return name.casefold() if name.casefold() in ("group", "weight", "confidence") else name


def _say_no_path(table: Table, images: Sequence[str], file: str, findings: Findings) -> tuple[str, str]:
    """That no column is called `path`, and the command that calls the one so that holds the images."""
    known, sample = Images(images), table.rows[:_SAMPLE_ROWS]
    fits = [sum(len(known.find(cells[at]).images) == 1 for cells in sample) for at in range(len(table.columns))]
    reason = f"names no column path: {', '.join(table.columns)}"
    if not max(fits, default=0):
        return reason, ""
    column = table.columns[fits.index(max(fits))]
    how = f"sep={table.delimiter!r}, encoding={table.encoding!r}, skiprows={table.skipped}, dtype=str, keep_default_na=False"
    code = (
        f"import pandas as pd; f = {f'{findings.folder}/{file}'!r}; t = pd.read_csv(f, {how}); "
        f"t.rename(columns={{{column!r}: 'path'}}).to_csv(f, sep={table.delimiter!r}, index=False)"
    )
    return f"{reason}; {column} holds the images", f"Call that column path: `python -c {quote(code)}`."


def _say_reading(table: Table, at: int, columns: Sequence[str]) -> list[str]:
    """What about the table was not as documented, and how it was read."""
    notes = []
    if not table.is_sure:
        notes.append(f"is not in UTF-8 and was read as {table.encoding}: umlauts and accents may come out wrong")
    if table.columns[at] != "path":
        notes.append(f"{table.columns[at]} was read as path")
    rest = [name for number, name in enumerate(table.columns) if number != at]
    notes += [f"{name} was read as {read}" for name, read in zip(rest, columns, strict=True) if name != read]
    return notes


def _place(
    metadata: Metadata, table: Table, at: int, images: Sequence[str], file: str, findings: Findings
) -> list[str]:
    """Give each row to the image that it means; say what was looked past on the way."""
    known = Images(images)
    past: dict[str, list[str]] = {}
    for cells, line in zip(table.rows, table.lines, strict=True):
        written, own = cells[at], cells[:at] + cells[at + 1 :]
        match = known.find(written)
        if len(match.images) != 1:
            name = written.strip().removeprefix("./")
            metadata.strays.append(name)
            several = f", and may mean {' or '.join(match.images[:3])}" if match.images else ", the folder has no such image"
            findings.add("metadata_extra_row", name, f"line {line} of {file} has a row for it{several}")
            continue
        image = match.images[0]
        if image in metadata.values:
            same = metadata.values[image] == own
            reason = f"line {line} of {file} is its second" + (", and says the same" if same else "")
            findings.add("metadata_duplicate_row", image, reason, warn_only=same)
            continue
        if match.how:
            past.setdefault(match.how, []).append(f"{written} was read as {image}")
        metadata.values[image] = own
    says = {"folders": "by the end of their paths", "case": "by their paths in another case"}
    return [f"{len(found)} rows were matched {says[how]}: {found[0]}" for how, found in sorted(past.items())]


def _read_decimal_commas(metadata: Metadata, delimiter: str) -> None:
    """Where the comma divides no cells it may divide numbers; a column that has points as well is left as it is."""
    for at, name in enumerate(metadata.columns):
        if delimiter == "," or not is_number(name):
            continue
        cells = [values[at] for values in metadata.values.values()]
        if any(map(_DECIMAL_COMMA.fullmatch, cells)) and not any("." in cell for cell in cells):
            for values in metadata.values.values():
                values[at] = values[at].replace(",", ".")


def check_metadata(metadata: Metadata, rows: Rows, findings: Findings) -> None:
    """Report images without row, numbers out of range, and groups across splits."""
    if not metadata.columns:
        return
    missing = [path for path in rows.paths if path not in metadata.values and path not in findings.verdicts]
    for path in missing:
        findings.add("metadata_missing_row", path, f"{METADATA} has no row for it")
    if missing:
        _report_unmatched(metadata, missing, len(rows), findings)
    _check_numbers(metadata, findings)
    _check_groups(metadata, rows, findings)


def _report_unmatched(metadata: Metadata, missing: Sequence[str], images: int, findings: Findings) -> None:
    """A table that is meant to teach something and leaves images out may be one whose paths are wrong."""
    teaching = metadata.teaching()
    reason = f"{len(missing):,} of {images:,} images have no row ({_examples(missing)})"
    if metadata.strays:
        reason += f", {len(metadata.strays):,} rows fit no image ({_examples(metadata.strays)})"
    if teaching:
        reason += f"; without one they have no {' and no '.join(teaching)}"
    findings.add("metadata_unmatched", METADATA, reason, len(missing), 0, warn_only=not teaching)


def _examples(paths: Sequence[str]) -> str:
    more = ", ..." if len(paths) > 2 else ""
    return ", ".join(paths[:2]) + more


def _check_numbers(metadata: Metadata, findings: Findings) -> None:
    for at, name in enumerate(metadata.columns):
        if not is_number(name):
            continue
        top, wanted = (math.inf, "a number from 0 on") if name == "weight" else (1.0, "a number from 0 to 1")
        for path, values in metadata.values.items():
            value = number(values[at])
            if values[at].strip() and not (math.isfinite(value) and 0 <= value <= top):
                findings.add("metadata_invalid", path, f"{name} is {values[at]!r}, not {wanted}")


def is_number(name: str) -> bool:
    """Whether a column's cells are numbers."""
    return name in ("weight", "confidence") or name.partition("_")[0] == PROBABILITY


def _check_groups(metadata: Metadata, rows: Rows, findings: Findings) -> None:
    if "group" not in metadata.columns:
        return
    at = metadata.columns.index("group")
    splits: dict[str, dict[str, str]] = {}
    for path, split in zip(rows.paths, rows.splits, strict=True):
        group = metadata.values.get(path, [""] * (at + 1))[at]
        if group and path not in findings.verdicts:
            splits.setdefault(group, {}).setdefault(split, path)
    for group, first in sorted(splits.items()):
        if len(first) > 1:
            for split, path in sorted(first.items()):
                others = ", ".join(sorted(set(first) - {split}))
                findings.add("group_across_splits", path, f"group {group!r} is in {others} too", group)


def check_equal_rows(metadata: Metadata, paths: Sequence[str], clusters: Iterable[np.ndarray], findings: Findings) -> None:
    """Report equal pictures whose rows say different things of how they are divided, taught or counted.

    Args:
        clusters: indices of equal pictures, the one that stays first.
    """
    for cluster in clusters:
        known = [paths[index] for index in cluster if paths[index] in metadata.values]
        for name in metadata.teaching() if len(known) > 1 else ():
            at = metadata.columns.index(name)
            first = metadata.values[known[0]][at]
            for path in known[1:]:
                other = metadata.values[path][at]
                if first.strip() and other.strip() and not _equal(name, first, other):
                    reason = f"equals {known[0]}, and their rows differ: {name} is {other} here and {first} there"
                    findings.add("metadata_rows_differ", path, reason, other, first)


def _equal(name: str, first: str, other: str) -> bool:
    return number(first) == number(other) if is_number(name) else first == other


def metadata_columns(metadata: Metadata, rows: Rows) -> dict[str, pa.Array]:
    """`meta_<column>` for each column: probabilities, `confidence` and `weight` as float64, the rest as text; null without a
    row."""
    columns = {}
    for at, name in enumerate(metadata.columns):
        cells = [metadata.values[path][at] if path in metadata.values else None for path in rows.paths]
        if is_number(name):
            values = [math.nan if cell is None else number(cell) for cell in cells]
            numbers = [value if math.isfinite(value) else None for value in values]
            columns[f"meta_{name}"] = pa.array(numbers, pa.float64())
        else:
            columns[f"meta_{name}"] = pa.array(cells, pa.string())
    return columns


def number(text: str) -> float:
    """A cell as a number; NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
