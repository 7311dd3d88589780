"""Run the set-level checks on synthetic rows and print seconds, peak memory and what was found, as JSON."""

import json
import resource
import sys
import time

import numpy as np
import pyarrow as pa

from thaw.gate.checks.drift import check_splits
from thaw.gate.checks.structure import check_structure, count_images, usable
from thaw.gate.duplicates import exact_clusters, kept_first, near_clusters, report_clusters
from thaw.gate.findings import Findings
from thaw.gate.rows import Rows
from thaw.gate.scan.fingerprint import BYTES, FREQUENCIES
from thaw.gate.scan.scanning import ROW
from thaw.params import ValidateParams

_CHUNK = 50_000


def make_rows(count: int) -> tuple[Rows, list[tuple[int, int]]]:
    """`count` rows with descriptors of a natural spectrum; one in a hundred has a near duplicate elsewhere."""
    rng = np.random.default_rng(0)
    descriptors = np.empty((count, BYTES), np.int8)
    frequency = np.add.outer(np.arange(FREQUENCIES), np.arange(FREQUENCIES)).ravel()
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        waves = rng.standard_normal((part.stop - start, BYTES), np.float32) / (1 + frequency).astype(
            np.float32
        )
        waves[:, 0] = 0
        waves /= np.linalg.norm(waves, axis=1, keepdims=True)
        descriptors[part] = np.rint(np.copysign(np.sqrt(np.abs(waves)), waves) * 127)
    chosen = rng.permutation(count)[: count // 100 * 2].reshape(-1, 2)
    noise = rng.integers(-4, 5, (len(chosen), BYTES))
    noise[:, 0] = 0
    descriptors[chosen[:, 1]] = np.clip(descriptors[chosen[:, 0]] + noise, -127, 127)
    return _rows(descriptors, rng), [(min(pair), max(pair)) for pair in chosen.tolist()]


def _rows(descriptors: np.ndarray, rng: np.random.Generator) -> Rows:
    count = len(descriptors)
    numbers = {name: pa.array(rng.normal(100, 10, count)) for name in ("brightness", "contrast", "sharpness")}
    side = pa.array(np.full(count, 300, np.int32))
    columns = numbers | {
        "width": side,
        "height": side,
        "pixels": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), count, [None, pa.py_buffer(rng.bytes(16 * count))]
        ),
        "descriptor": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(BYTES), count, [None, pa.py_buffer(descriptors.data)]
        ),
    }
    table = pa.table({name: columns[name] for name in ROW.names if name in columns})
    splits = np.where(np.arange(count) % 10 < 8, "train", "test").astype(object)
    labels = np.where(np.arange(count) % 2, "cat", "dog").astype(object)
    paths = [
        f"{split}/{label}/{at:07d}.jpg" for at, (split, label) in enumerate(zip(splits, labels, strict=True))
    ]
    return Rows(table, paths, splits, labels)


def main() -> None:
    rows, planted = make_rows(int(sys.argv[1]))
    params = ValidateParams()
    findings = Findings(params.severity)
    begin = time.perf_counter()
    equal = kept_first(rows, exact_clusters(rows))
    report_clusters(rows, equal, "duplicate", findings)
    found = near_clusters(rows, equal, params.limits.near_duplicate_distance)
    report_clusters(rows, kept_first(rows, found.members), "near_duplicate", findings, found.distances)
    counts = count_images(rows, {split: {"cat", "dog"} for split in ("train", "test")}, findings)
    check_structure(counts, params.limits, findings)
    check_splits(rows, usable(rows, findings), params.limits, findings)
    findings.sorted()
    seconds = time.perf_counter() - begin
    pairs = {tuple(cluster.tolist()) for cluster in found.members}
    result = {
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "planted": len(planted),
        "found": len(pairs & set(planted)),
        "other": len(pairs - set(planted)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
