"""`metadata.csv`: read, held against the images, and turned into columns of the manifest."""

import csv
import math
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from thaw.gate.findings import Findings
from thaw.gate.rows import Rows
from thaw.gate.scan.links import may_lead_to
from thaw.layout import METADATA

PROBABILITY = "probability"
"""The column, or what its name begins with: `probability_<class>`."""


@dataclass
class Metadata:
    """The columns of `metadata.csv` besides `path`, and its rows by path."""

    columns: list[str] = field(default_factory=list)
    values: dict[str, list[str]] = field(default_factory=dict)


def read_metadata(root: Path, findings: Findings) -> Metadata:
    """Read `metadata.csv`, where there is one; report what is wrong with it."""
    path = root / METADATA
    metadata = Metadata()
    if not path.is_file() or not may_lead_to(os.path.realpath(path), os.path.realpath(root)):
        return metadata  # of a link that leads out the walk has told
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            _read(csv.reader(file), metadata, findings)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        findings.add("metadata_invalid", METADATA, f"cannot be read: {error}")
        return Metadata()
    return metadata


def _read(lines: Any, metadata: Metadata, findings: Findings) -> None:
    header = [name.strip() for name in next(lines, [])]
    if "path" not in header or len(set(header)) != len(header) or "" in header:
        findings.add(
            "metadata_invalid", METADATA, "its first line must name each column once, `path` among them"
        )
        return
    at = header.index("path")
    metadata.columns = [name for name in header if name != "path"]
    for cells in lines:
        if not cells:
            continue
        if len(cells) != len(header):
            reason = f"line {lines.line_num} has {len(cells)} values for {len(header)} columns"
            findings.add("metadata_invalid", METADATA, reason, len(cells), len(header))
            continue
        name = cells[at].strip().removeprefix("./")
        if name in metadata.values:
            findings.add("metadata_duplicate_row", name, f"line {lines.line_num} of {METADATA} is its second")
            continue
        metadata.values[name] = cells[:at] + cells[at + 1 :]


def check_metadata(metadata: Metadata, rows: Rows, findings: Findings) -> None:
    """Report rows without image, images without row, numbers out of range, and groups across splits."""
    if not metadata.columns:
        return
    known = set(rows.paths)
    forms = {unicodedata.normalize("NFC", path): path for path in rows.paths}
    for path in metadata.values:
        if path not in known:
            near = forms.get(unicodedata.normalize("NFC", path))
            hint = f"; the file's name is another Unicode form: {near}" if near else ""
            findings.add(
                "metadata_extra_row", path, f"{METADATA} has a row for it, the folder has no such image{hint}"
            )
    for path in rows.paths:
        if path not in metadata.values and path not in findings.verdicts:
            findings.add("metadata_missing_row", path, f"{METADATA} has no row for it")
    _check_numbers(metadata, findings)
    _check_groups(metadata, rows, findings)


def _check_numbers(metadata: Metadata, findings: Findings) -> None:
    for at, name in enumerate(metadata.columns):
        if not _is_number(name):
            continue
        top, wanted = (math.inf, "a number from 0 on") if name == "weight" else (1.0, "a number from 0 to 1")
        for path, values in metadata.values.items():
            value = number(values[at])
            if values[at].strip() and not (math.isfinite(value) and 0 <= value <= top):
                findings.add("metadata_invalid", path, f"{name} is {values[at]!r}, not {wanted}")


def _is_number(name: str) -> bool:
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


def metadata_columns(metadata: Metadata, rows: Rows) -> dict[str, pa.Array]:
    """`meta_<column>` for each column: probabilities, `confidence` and `weight` as float64, the rest as text; null without a
    row."""
    columns = {}
    for at, name in enumerate(metadata.columns):
        cells = [metadata.values[path][at] if path in metadata.values else None for path in rows.paths]
        if _is_number(name):
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
