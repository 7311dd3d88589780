"""The images of a folder as columns: what the scan saw, and where each stands."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from thaw.gate.scan.scanning import ROW
from thaw.gate.scan.walking import Entry
from thaw.layout import Layout


@dataclass(frozen=True)
class Rows:
    """`count` images by path; columns of `thaw.gate.scan.scanning.ROW`, and the split and class of each."""

    table: pa.Table
    paths: list[str]
    splits: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def numbers(self, name: str) -> np.ndarray:
        """A column as float64; NaN where it has no value."""
        column = self.table[name].combine_chunks().cast(pa.float64())
        return column.to_numpy(zero_copy_only=False).astype(np.float64)

    def words(self, name: str) -> np.ndarray:
        """A column of text as objects; empty where it has no value."""
        return self.table[name].combine_chunks().fill_null("").to_numpy(zero_copy_only=False)

    def groups(self) -> dict[tuple[str, str], np.ndarray]:
        """(split, class) -> indices of its images."""
        together = np.array(
            [f"{a}\0{b}" for a, b in zip(self.splits, self.labels, strict=True)], dtype=object
        )
        order = np.argsort(together, kind="stable")
        found: dict[tuple[str, str], np.ndarray] = {}
        if len(order):
            cuts = np.flatnonzero(together[order][1:] != together[order][:-1]) + 1
            for part in np.split(order, cuts):
                found[(self.splits[part[0]], self.labels[part[0]])] = part
        return found


def gather(scanned: pa.Table, unread: Mapping[str, Entry], layout: Layout) -> Rows:
    """Join the scanned images and those that were not opened, by path."""
    rest = pa.Table.from_pylist(
        [
            {"path": path, "bytes": entry.size, "problem": "", "reason": ""}
            for path, entry in sorted(unread.items())
        ],
        schema=ROW,
    )
    table = pa.concat_tables([scanned.replace_schema_metadata(None), rest])
    if len(rest):
        table = table.sort_by("path")
    paths = table["path"].to_pylist()
    places = [layout.place(path) for path in paths]
    return Rows(
        table,
        paths,
        np.array([place.split for place in places], dtype=object),
        np.array([place.label for place in places], dtype=object),
    )
