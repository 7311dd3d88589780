"""The manifest: a row an image, the one source that training reads from."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from thaw.files import replacing
from thaw.gate.checks.metadata import Metadata, metadata_columns
from thaw.gate.findings import Findings
from thaw.gate.rows import Rows

_SCANNED = ("bytes", "sha256", "format", "mode", "width", "height")
STATISTICS = ("brightness", "contrast", "sharpness")


def write_manifest(path: Path, rows: Rows, metadata: Metadata, findings: Findings) -> None:
    """Write the manifest as Parquet; the same images give the same bytes.

    Columns: path, class, split, bytes, sha256, format, mode, width, height, verdict, reason, then brightness, contrast
    (grey levels), sharpness and grey (all its colours are grey), then `meta_` and each column of metadata.csv.
    """
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
        **metadata_columns(metadata, rows),
    }
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns).combine_chunks(), temporary, compression="zstd")
