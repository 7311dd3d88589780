"""The manifest: a row an image, the one source that training reads from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from thaw.files import replacing
from thaw.gate.checks.metadata import metadata_columns
from thaw.gate.inspection import Inspection

_SCANNED = ("bytes", "sha256", "format", "mode", "width", "height")
STATISTICS = ("brightness", "contrast", "sharpness")


def write_manifest(path: Path, inspection: Inspection) -> None:
    """Write the manifest as Parquet; the same images give the same bytes.

    Columns: path, class, split, bytes, sha256, format, mode, width, height, verdict, reason, then brightness, contrast
    (grey levels), sharpness and grey (all its colours are grey), cluster (the path of the first image that equals this one
    or looks like it; empty without one), then `meta_` and each column of metadata.csv.
    """
    rows, findings = inspection.rows, inspection.findings
    verdicts = [findings.verdicts.get(name, ("ok", "")) for name in rows.paths]
    columns = {
        "path": rows.table["path"],
        "class": pa.array(rows.labels, pa.string()),
        "split": pa.array(rows.splits, pa.string()),
        **{name: rows.table[name] for name in _SCANNED},
        "verdict": pa.array([check for check, _ in verdicts], pa.string()),
        "reason": pa.array([reason for _, reason in verdicts], pa.string()),
        **{name: rows.table[name] for name in STATISTICS},
        "grey": pa.array(rows.numbers("chroma") <= 0.5, pa.bool_()),
        "cluster": pa.array(_clusters(rows.paths, inspection.first_alike), pa.string()),
        **metadata_columns(inspection.metadata, rows),
    }
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns).combine_chunks(), temporary, compression="zstd")


def _clusters(paths: list[str], first_alike: np.ndarray) -> list[str]:
    sizes = np.bincount(first_alike)
    return [paths[first] if sizes[first] > 1 else "" for first in first_alike]
