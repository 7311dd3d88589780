"""The demo's data: photographs of solar cells (ELPV), laid out as the pipeline reads images."""

import csv
import importlib.util
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from thaw.errors import ThawError

LICENCE = "ELPV images: CC BY-NC-SA 4.0, Buerhop-Lutz, Deitsch et al. (github.com/zae-bayern/elpv-dataset)"
DEFECTIVE_FROM = 0.5
"""Cells of a higher defect probability are laid out as defective."""


def lay_out(raw_dir: Path, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Lay the 2,624 ELPV cells out as `<class>/<cell>.png`, byte for byte, with `metadata.csv`.

    The folder's content is the same whenever and wherever it is made. A folder half filled is completed; a
    complete one is left as it is.

    Args:
        on_progress: called with the number of files done and of all files.

    Returns:
        The number of files written.

    Raises:
        ThawError: the package is not installed, or the folder holds anything else.
    """
    files = _demo_files(_package_data_dir())
    _check_nothing_else(raw_dir, set(files))
    raw_dir.mkdir(parents=True, exist_ok=True)
    temporary = raw_dir.parent / f".thaw-demo-{os.getpid()}"  # never in the folder that is hashed
    written = 0
    for done, (name, content) in enumerate(files.items(), 1):
        content = content if isinstance(content, bytes) else content.read_bytes()
        written += _put(raw_dir / name, content, temporary)
        if on_progress:
            on_progress(done, len(files))
    return written


def _demo_files(data_dir: Path) -> dict[str, Path | bytes]:
    """Path below the raw folder to the file to copy, or the bytes to write; the table last."""
    rows = sorted(_labels(data_dir / "labels.csv"))
    files: dict[str, Path | bytes] = {f"{cell_class}/{cell.name}": cell for cell_class, cell, _, _ in rows}
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "probability", "type"])
    writer.writerows([f"{cell_class}/{cell.name}", value, kind] for cell_class, cell, value, kind in rows)
    return files | {"metadata.csv": table.getvalue().encode()}


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


def _check_nothing_else(raw_dir: Path, names: set[str]) -> None:
    cure = "Move your own data elsewhere first, or lay out the demo in another project."
    if raw_dir.exists() and not raw_dir.is_dir():
        raise ThawError(f"{raw_dir}: is a file, not a folder", cure)
    folders = {name.split("/")[0] for name in names if "/" in name}
    for path in sorted(raw_dir.rglob("*")) if raw_dir.exists() else []:
        name = path.relative_to(raw_dir).as_posix()
        if not (path.is_dir() if name in folders else name in names and path.is_file()):
            raise ThawError(f"{path}: is not the demo's, and the demo never mixes with other data", cure)


def _put(path: Path, content: bytes, temporary: Path) -> bool:
    """Write a file by way of `temporary`, unless it is there already; True if it was written."""
    if path.exists():
        present = path.read_bytes()
        if present == content:
            return False
        if not content.startswith(present):  # a copy that was cut short is the demo's own
            raise ThawError(
                f"{path}: differs from the demo's file of that name", "Move it away, then run this again."
            )
    path.parent.mkdir(exist_ok=True)
    try:  # without the sync of thaw.files: there are thousands of files, and a rerun mends a crash
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True
