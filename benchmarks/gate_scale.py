"""Run the set-level checks on synthetic rows and print seconds, peak memory and what was found, as JSON.

The rows are written as a scan leaves them, in a file and not in order of path, by a process of its own; a picture in fifty
has a near duplicate elsewhere. Anonymous memory is what the system cannot take back; resident memory counts pages of mapped
files, too, as many as there is room for.

    python benchmarks/gate_scale.py 1000000
"""

import json
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from thaw.files import write_json
from thaw.gate.checks.drift import check_splits
from thaw.gate.checks.images import check_files, check_formats, check_looks
from thaw.gate.checks.metadata import Metadata
from thaw.gate.checks.structure import check_structure, count_images, usable
from thaw.gate.duplicates import first_alike, kept_first, near_clusters, report_clusters
from thaw.gate.duplicates.equal import exact_clusters
from thaw.gate.findings import Findings, shorten
from thaw.gate.inspection import Inspection
from thaw.gate.report.manifest import write_manifest
from thaw.gate.report.markdown import write_markdown
from thaw.gate.report.page import write_page
from thaw.gate.rows import gather
from thaw.gate.scan.arrays import skip_pandas
from thaw.gate.scan.fingerprint import BYTES, FREQUENCIES
from thaw.gate.scan.scanning import ROW
from thaw.gate.scan.store import read_rows
from thaw.layout import Layout
from thaw.params import ValidateParams

_BATCH = 16_384
_BLOCK = 8
"""Batches whose rows are mixed."""


def write_rows(path: Path, count: int) -> None:
    """`count` rows with descriptors of a natural spectrum, those of the `planted` pairs alike."""
    rng = np.random.default_rng(1)
    pairs = _pairs(count)
    pair = np.full(count, -1)
    pair[pairs] = np.arange(len(pairs))[:, None]
    shared = _described(rng, len(pairs))
    with pa.ipc.new_file(str(path), ROW) as writer:
        for start in range(0, count, _BATCH * _BLOCK):
            order = start + rng.permutation(min(_BATCH * _BLOCK, count - start))
            for rows in np.split(order, range(_BATCH, len(order), _BATCH)):
                descriptors = _described(rng, len(rows))
                alike = np.flatnonzero(pair[rows] >= 0)
                noise = rng.integers(-3, 4, (len(alike), BYTES))
                noise[:, 0] = 0
                descriptors[alike] = np.clip(shared[pair[rows[alike]]] + noise, -127, 127)
                writer.write_batch(_batch(rows, descriptors, rng))


def _pairs(count: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(count)[: count // 100 * 2].reshape(-1, 2)


def planted(count: int) -> set[tuple[int, int]]:
    """The pairs that look alike, by number."""
    return {(min(pair), max(pair)) for pair in _pairs(count).tolist()}


def _batch(rows: np.ndarray, descriptors: np.ndarray, rng: np.random.Generator) -> pa.RecordBatch:
    count = len(rows)
    digits = rng.bytes(32 * count).hex()
    split = np.where(rows % 10 < 8, "train", "test")
    columns = {
        "path": [f"{split[at]}/{('dog', 'cat')[row % 2]}/{row:09d}.jpg" for at, row in enumerate(rows.tolist())],
        "key": _binary(rng.bytes(16 * count), 16),
        "bytes": np.full(count, 40_000),
        "sha256": [digits[at : at + 64] for at in range(0, len(digits), 64)],
        **dict.fromkeys(("problem", "reason", "colors", "paper"), [""] * count),
        "cure": [None] * count,
        "format": ["JPEG"] * count,
        "mode": ["RGB"] * count,
        **dict.fromkeys(("width", "height"), np.full(count, 300)),
        **dict.fromkeys(("frames", "orientation"), np.ones(count, np.int32)),
        "bits": np.full(count, 8),
        **dict.fromkeys(("black", "white"), [None] * count),
        **dict.fromkeys(("alpha", "constant"), np.zeros(count, bool)),
        **{name: rng.normal(100, 10, count) for name in ("brightness", "contrast")},
        "sharpness": rng.normal(1, 0.1, count),
        "low_level": np.full(count, 20),
        "high_level": np.full(count, 230),
        "entropy": rng.normal(7, 0.1, count),
        "chroma": rng.normal(30, 3, count),
        "pixels": _binary(rng.bytes(16 * count), 16),
        "descriptor": _binary(descriptors.tobytes(), BYTES),
    }
    return pa.record_batch(
        [each if isinstance(each := columns[one.name], pa.Array) else pa.array(each, one.type) for one in ROW],
        schema=ROW,
    )


def _described(rng: np.random.Generator, count: int) -> np.ndarray:
    frequency = np.add.outer(np.arange(FREQUENCIES), np.arange(FREQUENCIES)).ravel()
    waves = rng.standard_normal((count, BYTES), np.float32) / (1 + frequency).astype(np.float32)
    waves[:, 0] = 0
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    return np.rint(np.copysign(np.sqrt(np.abs(waves)), waves) * 127).astype(np.int8)


def _binary(data: bytes, width: int) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(data) // width, [None, pa.py_buffer(data)])


class Meter:
    """Seconds on the wall, of processor time, and the peak of anonymous memory in MB, of each part of the work."""

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, float, float]] = {}
        self.peak = 0.0

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Of the block."""
        done, self.peak = threading.Event(), 0.0

        def watch() -> None:
            while not done.wait(0.05):
                self.peak = max(self.peak, anonymous_mb())

        watcher = threading.Thread(target=watch)
        watcher.start()
        begin, before = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            seconds, cpu = time.perf_counter() - begin, time.process_time() - before
            done.set()
            watcher.join()
            self.parts[part] = (seconds, cpu, max(self.peak, anonymous_mb()))
            print(f"{part}: {seconds:.1f} s, {cpu:.1f} s CPU, {self.parts[part][2]:,.0f} MB", file=sys.stderr)


def anonymous_mb() -> float:
    """Of this process (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("RssAnon:")[2].split(None, 1)[0]) / 1024


def judge(home: Path, count: int) -> dict[str, object]:
    """Everything that the gate does with rows, from the file of a scan to the reports."""
    skip_pandas()
    params, meter = ValidateParams(), Meter()
    findings = Findings(params.severity)
    with meter.measure("order"):
        rows = gather(read_rows(home / "rows.arrow"), {}, Layout(has_splits=True), home)
    with meter.measure("images"):
        check_files(rows, findings)
        check_formats(rows, params.limits, findings)
        check_looks(rows, params.limits, findings)
    with meter.measure("exact duplicates"):
        equal = kept_first(rows, exact_clusters(rows))
        report_clusters(rows, equal, "duplicate", findings)
    with meter.measure("near duplicates"):
        found = near_clusters(rows, equal, params.limits.near_duplicate_distance, home / "near.json")
        report_clusters(rows, kept_first(rows, found.members), "near_duplicate", findings, found.distances)
        alike = first_alike(len(rows), equal, found)
    with meter.measure("classes and splits"):
        counts = count_images(rows, {split: {"cat", "dog"} for split in ("train", "test")}, findings)
        check_structure(counts, params.limits, findings)
        check_splits(rows, usable(rows, findings), params.limits, findings)
    inspection = Inspection(home, rows, Metadata(), findings, counts, alike, {})
    with meter.measure("manifest"):
        write_manifest(home / "manifest.parquet", inspection)
    with meter.measure("reports"):
        summary = inspection.summary()
        write_json(home / "findings.json", shorten(summary))
        write_markdown(home / "gate.md", summary)
        write_page(home / "gate.html", inspection, summary)
    number = [int(path[-13:-4]) for path in rows.paths]
    pairs = {tuple(sorted(number[at] for at in cluster)) for cluster in found.members}
    return {
        "seconds": sum(part[0] for part in meter.parts.values()),
        "cpu": sum(part[1] for part in meter.parts.values()),
        "anonymous_mb": max(part[2] for part in meter.parts.values()),
        "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "parts": meter.parts,
        "planted": len(planted(count)),
        "found": len(pairs & planted(count)),
        "other": len(pairs - planted(count)),
        "sizes_mb": {
            name: (home / name).stat().st_size / 1e6
            for name in ("rows.arrow", "manifest.parquet", "findings.json", "gate.html", "gate.md")
        },
    }


def main() -> None:
    """For as many rows as the first argument says."""
    count = int(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=os.environ.get("THAW_BENCHMARK_DIR")) as name:
        home = Path(name)
        writing = multiprocessing.get_context("spawn").Process(target=write_rows, args=(home / "rows.arrow", count))
        writing.start()
        writing.join()
        if writing.exitcode:
            raise SystemExit(writing.exitcode)
        print(json.dumps(judge(home, count)))


if __name__ == "__main__":
    main()
