"""What Ray costs beside the work: the same shards on two processes of this machine and on a Ray of two workers, in turn.

    python -m benchmarks.compute [--quick]

The first job is nothing but arithmetic, 60 s of it in all; the second is the gate's scan of pictures. The cluster's start is
told apart, and the first task of each worker, which imports what it needs, is not timed. Prints a Markdown table.
"""

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from thaw.compute import Executor, Local, open_executor
from thaw.gate.inspection import bounds
from thaw.gate.scan.scanning import Scan
from thaw.gate.scan.walking import walk
from thaw.params import ComputeParams
from thaw.params.gate import LimitParams

WORKERS = 2
TARGET = 0.2
_BLOCK = bytes(1 << 20)


@dataclass(frozen=True)
class Spin:
    """Hashes as many mebibytes as an item says."""

    timeout_seconds: float = 600.0

    def work(self, items: Sequence[int], on_item: Callable[[int], None]) -> str:
        """A digest."""
        sha = hashlib.sha256()
        for index, rounds in enumerate(items):
            on_item(index)
            for _ in range(rounds):
                sha.update(_BLOCK)
        return sha.hexdigest()

    def fail(self, item: int, exit_code: int | None) -> str:
        """Never called."""
        raise AssertionError(item, exit_code)

    def join(self, results: list[str]) -> str:
        """Never called."""
        raise AssertionError(results)


def calibrate(seconds: float) -> int:
    """The rounds that take so long on one core: the best of five, so that other load does not count."""
    rounds = 200
    spent = []
    for _ in range(5):
        begin = time.perf_counter()
        Spin().work([rounds], lambda index: None)
        spent.append(time.perf_counter() - begin)
    return max(1, round(rounds * seconds / min(spent)))


def clock(executor: Executor, work: Any, shards: Sequence[Sequence[Any]]) -> tuple[float, list[Any]]:
    """The seconds that the shards take, and what came of them."""
    begin = time.perf_counter()
    results = list(executor.map_isolated(work, iter(shards)))
    return time.perf_counter() - begin, results


def compare(name: str, cluster: Executor, work: Any, shards: Sequence[Sequence[Any]], rounds: int) -> float:
    """Time both in turn, print a row, and give Ray's overhead: the middle one of the rounds."""
    local = Local(WORKERS)
    for executor in (local, cluster):
        clock(executor, work, shards[: 2 * WORKERS])  # what is imported once
    pairs = []
    for _ in range(rounds):
        (here, first), (there, second) = clock(local, work, shards), clock(cluster, work, shards)
        assert list(map(str, first)) == list(map(str, second)), "where work runs changed what came out"
        pairs.append((here, there))
    overhead = statistics.median(there / here for here, there in pairs) - 1
    here, there = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"| {name} | {len(shards)} | {here:.1f} | {there:.1f} | {overhead:+.1%} | {TARGET:.0%} |", flush=True)
    return overhead


def draw_pictures(folder: Path, count: int) -> list[Any]:
    """Pictures of noise and shapes, and their entries."""
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = np.kron(random.integers(0, 255, (25, 25, 3)), np.ones((12, 12, 1)))
        path = folder / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels + random.integers(0, 30, pixels.shape)).clip(0, 255).astype(np.uint8)).save(path)
    return [entry for entry in walk(folder) if entry.kind == "file"]


def main() -> None:
    """Measure, and print the table; exit code 1 where the overhead is over the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="6 s of work, fewer pictures")
    options = parser.parse_args()
    seconds, pictures = (6.0, 1000) if options.quick else (60.0, 6000)
    begin = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_executor(ComputeParams(engine="ray", workers=WORKERS)) as cluster,
    ):
        print(f"A Ray of {WORKERS} workers starts, and is found fit, in {time.perf_counter() - begin:.1f} s.\n")
        print("| job | shards | processes, s | Ray, s | overhead of Ray | target |\n|---|---:|---:|---:|---:|---:|")
        each = calibrate(0.25)
        spins = [[each]] * round(seconds / 0.25)
        overhead = compare(f"{seconds:g} s of work in all", cluster, Spin(), spins, 1 if options.quick else 3)
        entries = draw_pictures(Path(folder), pictures)
        shards = [entries[at : at + 64] for at in range(0, len(entries), 64)]
        compare(f"scan of {pictures} pictures", cluster, Scan(Path(folder), bounds(LimitParams()), 30.0), shards, 1)
    if overhead > TARGET:
        raise SystemExit(f"Ray's overhead is {overhead:.1%}")


if __name__ == "__main__":
    main()
