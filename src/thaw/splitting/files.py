"""The files of the splits: a CSV each (docs/architecture.md has the columns), and the classes in the order of their labels."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from thaw.files import read_json, write_csv, write_text

SPLITS = ("train", "validation", "test")
FIXED_COLUMNS = ("path", "class", "label", "target", "weight", "confidence", "grey", "group")
"""Columns of a split's CSV before the slices."""


def read_split(path: Path) -> pd.DataFrame:
    """Read a split's CSV: names and slices as text (a class may be called `NA`), the rest as numbers."""
    rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    for name in ("label", "grey"):
        rows[name] = rows[name].astype(np.int64)
    for name in ("target", "weight", "confidence"):
        rows[name] = pd.to_numeric(rows[name].where(rows[name] != "")).astype(np.float64)
    return rows


def write_split(path: Path, rows: pd.DataFrame) -> None:
    """Write rows as `label_images` makes them, sorted by path."""
    write_csv(path, rows.sort_values("path"))


def read_classes(path: Path) -> list[str]:
    """The class names, in the order of the labels."""
    return [str(name) for name in read_json(path)]


def write_classes(path: Path, classes: Sequence[str]) -> None:
    """Write the classes in the order of their labels."""
    write_text(path, json.dumps(list(classes), ensure_ascii=False, indent=2) + "\n")
