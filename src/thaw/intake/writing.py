"""Copy a folder into the layout of `data/raw`, as it was read."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

from thaw.intake.reading import Reading
from thaw.layout import METADATA
from thaw.trees import copy_tree


def lay_out(
    reading: Reading, target: Path, unlabelled: Path, on_file: Callable[[], None], *, move: bool = False
) -> None:
    """Copy the images to where they belong; the folder that was read is not touched.

    Args:
        reading: how the folder is read.
        target: is made, and holds classes or splits.
        unlabelled: is made where there are images without a label.
        on_file: called after each file.
        move: the folder that was read is a temporary one on the same disk: nothing is copied.

    Raises:
        ThawError: something in a folder that is copied as it is cannot be copied.
        OSError: a file cannot be read or written.
    """
    if reading.as_is and move:
        reading.root.rename(target)
        return
    if reading.as_is:
        copy_tree(reading.root, target, on_file)
        return
    for place, images in ((target, reading.placed), (unlabelled, reading.unlabelled)):
        for source, relative in images.items():
            path = place / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                raise FileExistsError(f"{path}: two images of {reading.root} would be one file on this disk")
            if move:
                (reading.root / source).rename(path)
            else:
                shutil.copy2(reading.root / source, path)
            on_file()
    if reading.rows:
        _write_metadata(reading, target / METADATA)


def _write_metadata(reading: Reading, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", *reading.columns))
        writer.writerows((target, *row) for target, row in sorted(reading.rows.items()))
