"""The manifest: a row an image, the one source that training reads from."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from thaw.files import replacing
from thaw.gate.checks.metadata import metadata_columns
from thaw.gate.inspection import Inspection

_SCANNED = ("bytes", "sha256", "format", "mode", "width", "height")
STATISTICS = ("brightness", "contrast", "sharpness")
_GROUP_ROWS = 1 << 20
"""Of a row group, which is what is held in memory."""


def write_manifest(path: Path, inspection: Inspection) -> None:
    """Write the manifest as Parquet; the same images give the same bytes.

    Columns: path, class, split, bytes, sha256, format, mode, width, height, verdict, reason, then brightness, contrast
    (grey levels), sharpness and grey (all its colours are grey), cluster (the path of the first image that equals this one
    or looks like it; empty without one), then `meta_` and each column of metadata.csv.
    """
    rows, verdicts = inspection.rows, inspection.findings.verdicts
    sizes = np.bincount(inspection.first_alike)
    paths = rows.table["path"]
    extra = metadata_columns(inspection.metadata, rows)
    grey = rows.numbers("chroma") <= 0.5
    failed = rows.are_in(verdicts)
    with replacing(path) as temporary, ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for start in range(0, max(len(rows), 1), _GROUP_ROWS):
            part = slice(start, start + _GROUP_ROWS)
            table, first = rows.table.slice(start, _GROUP_ROWS), inspection.first_alike[part]
            verdict, reason = _verdicts(table["path"], failed[part], verdicts)
            columns = {
                "path": table["path"],
                "class": pa.array(rows.labels[part], pa.string()),
                "split": pa.array(rows.splits[part], pa.string()),
                **{name: table[name] for name in _SCANNED},
                "verdict": verdict,
                "reason": reason,
                **{name: table[name] for name in STATISTICS},
                "grey": pa.array(grey[part], pa.bool_()),
                "cluster": _clusters(paths, first, sizes),
                **{name: column.slice(start, _GROUP_ROWS) for name, column in extra.items()},
            }
            group = pa.table(columns).combine_chunks()
            writer = writer or stack.enter_context(pq.ParquetWriter(temporary, group.schema, compression="zstd"))
            writer.write_table(group)


def _verdicts(
    paths: pa.ChunkedArray, failed: np.ndarray, verdicts: Mapping[str, tuple[str, str]]
) -> tuple[pa.Array, pa.Array]:
    """The check that each image failed, or ok, and why: only the few that `failed` are looked up by name."""
    checks, reasons = np.full(len(paths), "ok", object), np.full(len(paths), "", object)
    for at in np.flatnonzero(failed).tolist():
        checks[at], reasons[at] = verdicts[paths[at].as_py()]
    return pa.array(checks, pa.string()), pa.array(reasons, pa.string())


def _clusters(paths: pa.ChunkedArray, first_alike: np.ndarray, sizes: np.ndarray) -> pa.Array:
    """The path of the first image of each one's cluster; empty where it is alone."""
    shared = sizes[first_alike] > 1
    names = np.full(len(first_alike), "", object)
    names[shared] = [paths[int(first)].as_py() for first in first_alike[shared]]
    return pa.array(names, pa.string())
