"""The images of a folder as columns: what the scan saw, and where each stands."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thaw.gate.mapped import BATCH_ROWS, sort_by_path
from thaw.gate.scan.scanning import ROW
from thaw.gate.scan.walking import Entry
from thaw.gate.threads import in_order
from thaw.layout import Layout, Place


@dataclass(frozen=True)
class Rows:
    """`count` images by path; columns of `thaw.gate.scan.scanning.ROW` but `key`, and the split and class of each."""

    table: pa.Table
    splits: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.table)

    @property
    def paths(self) -> "Texts":
        """Of the images, in order."""
        return Texts(self.table["path"])

    def numbers(self, name: str) -> np.ndarray:
        """A column as float64; NaN where it has no value."""
        column = self.table[name].combine_chunks().cast(pa.float64())
        return column.to_numpy(zero_copy_only=False).astype(np.float64)

    def words(self, name: str) -> np.ndarray:
        """A column of text as objects, one for each different text; empty where it has no value."""
        coded = pc.fill_null(self.table[name], "").combine_chunks().dictionary_encode()
        return coded.dictionary.to_numpy(zero_copy_only=False)[coded.indices.to_numpy()]

    def of_suffixes(self, call: Callable[[str], str]) -> np.ndarray:
        """What `call` makes of the suffix of each path, as `os.path.splitext` has it, as objects; few are asked for."""
        found = np.empty(len(self), object)
        for part, suffixes, suffix_of in _in_common(self.table["path"], r"[^./][^/]*(?P<common>\.[^./]*)$"):
            found[part] = np.array([call(suffix) for suffix in suffixes], object)[suffix_of]
        return found

    def are_in(self, paths: Iterable[str]) -> np.ndarray:
        """Which images are among `paths`, as bool."""
        return pc.is_in(self.table["path"], pa.array(paths, pa.string())).to_numpy()


class Texts(Sequence[str]):
    """A column of text as strings, each made when it is asked for: ten million at once would take a gigabyte."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self._column.take(pa.array(range(start, stop, step), pa.int64())).to_pylist()
        return self._column[int(index)].as_py()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BATCH_ROWS):
            yield from self._column.slice(start, BATCH_ROWS).to_pylist()


def gather(
    scanned: pa.Table, unread: Mapping[str, Entry], layout: Layout, folder: Path | None = None
) -> Rows:
    """Join the scanned images and those that were not opened, by path.

    Args:
        folder: where rows lie that have to be brought in order; see `thaw.gate.mapped.sort_by_path`.
    """
    rest = pa.Table.from_pylist(
        [
            {"path": path, "bytes": entry.size, "problem": "", "reason": ""}
            for path, entry in sorted(unread.items())
        ],
        schema=ROW,
    )
    joined = pa.concat_tables([scanned.replace_schema_metadata(None), rest])
    table = sort_by_path(joined.drop_columns("key"), folder)
    rows = Rows(table, np.empty(len(table), object), np.empty(len(table), object))
    places: dict[str, Place] = {}
    for part, folders, folder_of in _in_common(table["path"], r"(?s)^(?P<common>.*/)?[^/]*$"):
        for above in folders:  # it decides for all that lie in it
            if above not in places:
                places[above] = layout.place_of_picture(f"{above}picture")
        rows.splits[part] = np.array([places[above].split for above in folders], object)[folder_of]
        rows.labels[part] = np.array([places[above].label for above in folders], object)[folder_of]
    return rows


def _in_common(column: pa.ChunkedArray, pattern: str) -> Iterator[tuple[slice, list[str], np.ndarray]]:
    """What many texts have in common, so that it is looked at once: in parts of the column, the different texts that the
    pattern's group `common` finds, and the index of each row's among them; without a match the empty text.
    """

    def find(start: int) -> tuple[slice, list[str], np.ndarray]:
        batch = column.slice(start, BATCH_ROWS)
        found = pc.struct_field(pc.extract_regex(batch, pattern), "common").combine_chunks()
        coded = pc.fill_null(found, "").dictionary_encode()
        return slice(start, start + len(batch)), coded.dictionary.to_pylist(), coded.indices.to_numpy()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from in_order(pool, find, range(0, len(column), BATCH_ROWS))
