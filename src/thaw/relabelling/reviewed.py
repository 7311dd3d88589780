"""The list that a person has reviewed: each row is held against the folder before anything is moved."""

import difflib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from posixpath import basename
from typing import NamedTuple

from thaw.errors import ThawError
from thaw.relabelling.folder import Folder
from thaw.tables import Table, read_table

SUGGESTED = "suggested_label"
_MAKE = "`thaw run` writes reports/label_suspects.csv"


class Wanted(NamedTuple):
    """An image, and the label that it is to have."""

    path: str
    label: str


class _Fault(Exception):
    """What is wrong with a row, and the cure."""


def read_list(path: Path, folder: Folder, begun: Collection[str] = ()) -> list[Wanted]:
    """The images of the list and their new labels.

    Args:
        path: a CSV with the columns `path` and `suggested_label`, and `label` if need be.
        folder: what its rows are held against.
        begun: images that a relabelling which was killed may have moved already: of these nothing is asked.

    Raises:
        ThawError: it is no such CSV, is empty, or a row cannot be carried out. Names the first such row and its line.
    """
    if not path.is_file():
        raise ThawError(f"{path}: no such file", f"Name a reviewed list; {_MAKE}.")
    table = read_table(path)
    columns = _columns(path, table)
    if table.faults:
        raise ThawError(f"{path}: {table.faults[0]}", "Mend that line, or delete it.")
    if not table.rows:
        raise ThawError(f"{path}: has no rows: nothing to relabel", f"Leave in it the rows to carry out; {_MAKE}.")
    wanted: list[Wanted] = []
    faults: list[ThawError] = []
    lines: dict[str, int] = {}
    for line, cells in zip(table.lines, table.rows, strict=True):
        values = {name: cells[at].strip() for name, at in columns.items()}
        try:
            row = _read_row(values, folder, begun)
            if row.path in lines:
                raise _Fault(f"stands in line {lines[row.path]}, too", "Delete one of the two rows.")
        except _Fault as fault:
            faults.append(_explain(f"{path}: line {line}: {values['path'] or 'no path'}", fault))
        else:
            lines[row.path] = line
            wanted.append(row)
    if faults:
        first, more = faults[0], len(faults) - 1
        also = f"; {more} more {'row has a fault' if more == 1 else 'rows have faults'}" if more else ""
        raise ThawError(first.reason + also, f"{first.cure} Nothing was changed.")
    return wanted


def _explain(place: str, fault: _Fault) -> ThawError:
    reason, cure = fault.args
    return ThawError(f"{place}: {reason}", cure)


def _columns(path: Path, table: Table) -> dict[str, int]:
    """The index of each column that is read."""
    folded = [name.casefold() for name in table.columns]
    known = {name: folded.index(name) for name in ("path", "label", SUGGESTED) if name in folded}
    missing = [name for name in ("path", SUGGESTED) if name not in known]
    if missing:
        raise ThawError(
            f"{path}: has no column {' and no column '.join(missing)} (its columns: {', '.join(table.columns[:8])})",
            f"The first line has to name the columns: path,label,{SUGGESTED}; {_MAKE}.",
        )
    return known


def _read_row(values: dict[str, str], folder: Folder, begun: Collection[str]) -> Wanted:
    written = values["path"]
    label = _new_label(values[SUGGESTED], folder)
    if written in begun:
        return Wanted(written, label)
    image = _image(written, label, folder)
    now = folder.class_of(image)
    if label == now:
        raise _Fault(f"is labelled {now} already", f"Delete the row, or give it another {SUGGESTED}.")
    if values.get("label") and folder.find_class(values["label"]) != now:
        raise _Fault(
            f"is labelled {now}, and the list says {values['label']}: it is a list of other data",
            f"Write {now} into its label, or delete the row; {_MAKE} anew.",
        )
    return Wanted(image, label)


def _new_label(name: str, folder: Folder) -> str:
    if not name:
        raise _Fault(f"has no {SUGGESTED}", f"Give it one of {_listed(folder.classes)}, or delete the row.")
    label = folder.find_class(name)
    if label is None:
        near = difflib.get_close_matches(name, folder.classes, n=1, cutoff=0.5)
        meant = f"Did you mean {near[0]}? " if near else ""
        cure = f"{meant}The classes are {_listed(folder.classes)}; a new class needs a folder of its own first."
        raise _Fault(f"there is no class {name!r}", cure)
    return label


def _image(written: str, label: str, folder: Folder) -> str:
    parts = written.replace("\\", "/").split("/")
    if not written:
        raise _Fault("the cell is empty", "Give the image's path below data/raw, or delete the row.")
    if ".." in parts or not parts[0] or parts[0].endswith(":"):
        raise _Fault("leads out of the data folder", "Give the image's path below data/raw: CLASS/IMAGE.")
    found = folder.images.find(written)
    if len(found.images) == 1 and not found.how:
        return found.images[0]
    for path in _elsewhere(basename(written), label, folder):
        raise _Fault(f"is not there, and {path} is: it was moved already", "Delete the row.")
    raise _Fault(
        "there is no such image in a class's folder", f"Delete the row; {_MAKE} anew for the data as it is now."
    )


def _elsewhere(name: str, label: str, folder: Folder) -> Iterator[str]:
    """Images of that name that have the wanted label."""
    places = {place for (_, known), place in folder.folders.items() if known == label}
    yield from (path for place in sorted(places) if (path := f"{place}/{name}") in folder.paths)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
