"""Photographs of solar cells, functional or defective (ELPV; Deitsch et al., Solar Energy 2019)."""

import csv
import importlib.util
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from thaw.errors import ThawError

DEFECTIVE_FROM = 0.5
"""Cells of a higher defect probability are laid out as defective."""


def list_files() -> dict[str, Callable[[], bytes]]:
    """The 2,624 cells as they are in the package, then `metadata.csv`: path, defect probability, cell type.

    Raises:
        ThawError: the package is not installed.
    """
    rows = sorted(_labels(_package_data_dir() / "labels.csv"))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "probability", "type"])
    writer.writerows([f"{cell_class}/{cell.name}", value, kind] for cell_class, cell, value, kind in rows)
    files: dict[str, Callable[[], bytes]] = {
        f"{cell_class}/{cell.name}": cell.read_bytes for cell_class, cell, _, _ in rows
    }
    return files | {"metadata.csv": lambda: table.getvalue().encode()}


def _labels(labels_path: Path) -> Iterator[tuple[str, Path, str, str]]:
    for line in labels_path.read_text(encoding="utf-8").splitlines():
        name, probability, kind = line.split()
        cell_class = "defective" if float(probability) > DEFECTIVE_FROM else "functional"
        yield cell_class, labels_path.parent / name, probability, kind


def _package_data_dir() -> Path:
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or not spec.submodule_search_locations:
        raise ThawError(
            "the package elpv-dataset, which holds the demo's images, is not installed",
            "Run `make install`, or `pip install 'thaw[demo]'`.",
        )
    return Path(spec.submodule_search_locations[0], "data")
