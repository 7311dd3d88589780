"""A shard of paths in, a shard of rows out: a pure function that an engine maps."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from thaw import sources
from thaw.gate.scan.ahead import read_ahead
from thaw.gate.scan.arrays import skip_pandas
from thaw.gate.scan.fingerprint import BYTES
from thaw.gate.scan.image import Bounds, inspect, quiet_decoders
from thaw.gate.scan.statistics import complete
from thaw.gate.scan.walking import Entry
from thaw.layout import UNSUPPORTED_SUFFIXES

ROW = pa.schema(
    [
        ("path", pa.string()),
        ("key", pa.binary(16)),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("problem", pa.string()),
        ("reason", pa.string()),
        ("cure", pa.string()),
        ("format", pa.string()),
        ("mode", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("frames", pa.int32()),
        ("bits", pa.int32()),
        ("black", pa.float64()),
        ("white", pa.float64()),
        ("orientation", pa.int32()),
        ("alpha", pa.bool_()),
        ("paper", pa.string()),
        ("colors", pa.string()),
        ("constant", pa.bool_()),
        ("brightness", pa.float64()),
        ("contrast", pa.float64()),
        ("low_level", pa.int32()),
        ("high_level", pa.int32()),
        ("entropy", pa.float64()),
        ("sharpness", pa.float64()),
        ("chroma", pa.float64()),
        ("pixels", pa.binary(16)),
        ("descriptor", pa.binary(BYTES)),
    ]
)
"""A row an image. What a file that cannot be decoded has no value for is null."""


AWAY = "store_away"
"""The problem of a file that its store did not give for a reason that says nothing of the file."""


def scan_shard(
    root: Path, entries: Sequence[Entry], bounds: Bounds, on_file: Callable[[int], None] = lambda index: None
) -> pa.RecordBatch:
    """Read and judge each of `entries` once; rows of schema `ROW` in their order. Raises nothing for a bad file.

    Args:
        root: the folder that the paths are relative to.
        entries: files, with names in UTF-8.
        bounds: what is decoded at all.
        on_file: called with the index of each file before it is opened.
    """
    skip_pandas()
    rows = []
    with quiet_decoders():
        for index, (entry, reading) in enumerate(read_ahead(root, entries, bounds.max_bytes)):
            on_file(index)
            rows.append(scan_file(entry, bounds, reading))
    complete(rows)
    return pa.RecordBatch.from_pylist(rows, schema=ROW)


def scan_file(entry: Entry, bounds: Bounds, read: Callable[[], bytes]) -> dict[str, Any]:
    """The row of one file, its statistics still a `sample`; `read` gives its bytes."""
    row: dict[str, Any] = {
        "path": entry.path,
        "key": key(entry),
        "bytes": entry.size,
        "problem": "",
        "reason": "",
    }
    if entry.size > bounds.max_bytes:
        return row | {"problem": "decompression_bomb", "reason": f"{entry.size:,} bytes"}
    try:
        data = read()
    except OSError as error:
        return row | {"problem": "unreadable", "reason": error.strerror or str(error)}
    except sources.StoreError as error:
        return row | {"problem": "unreadable" if error.gone else AWAY, "reason": error.reason, "cure": error.cure}
    row |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} | inspect(data, bounds)
    if (
        row["problem"] == "corrupt"
        and "format" not in row
        and entry.path.casefold().endswith(UNSUPPORTED_SUFFIXES)
    ):
        row |= {
            "problem": "unsupported_format",
            "reason": "the format that its name promises is not supported",
        }
    return row


@dataclass(frozen=True)
class Scan:
    """`scan_shard` as work for processes (`thaw.compute.Isolated`): a decoder that dies or hangs costs one row."""

    root: Path
    bounds: Bounds
    timeout_seconds: float

    def work(self, items: Sequence[Entry], on_item: Callable[[int], None]) -> pa.RecordBatch:
        """The rows of the files `items`."""
        return scan_shard(self.root, items, self.bounds, on_item)

    def fail(self, item: Entry, exit_code: int | None) -> pa.RecordBatch:
        """The row of a file that no worker lived to tell about: `decoder_crash`, or `decoder_timeout`."""
        problem, reason = "decoder_crash", f"the decoder died of it (code {exit_code})"
        if exit_code is None:
            problem, reason = "decoder_timeout", f"not decoded within {self.timeout_seconds:g} seconds"
        row = {"path": item.path, "key": key(item), "bytes": item.size, "problem": problem, "reason": reason}
        return pa.RecordBatch.from_pylist([row], schema=ROW)

    def join(self, results: list[pa.RecordBatch]) -> pa.RecordBatch:
        """One batch of all rows, in no useful order."""
        return pa.Table.from_batches(results).combine_chunks().to_batches()[0]


def key(entry: Entry) -> bytes:
    """16 bytes that change when the file does: its path, size, times and inode."""
    text = f"{entry.size} {entry.mtime_ns} {entry.ctime_ns} {entry.inode} {entry.path}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
