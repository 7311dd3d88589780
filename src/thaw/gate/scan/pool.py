"""Processes that scan shards, of which a bad file may kill or hang one, and only the file is lost."""

import ctypes
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa

from thaw.gate.scan.image import Bounds
from thaw.gate.scan.scanning import ROW, failed_row, scan_shard
from thaw.gate.scan.walking import Entry
from thaw.processes import die_with_parent

# A fork costs a hundredth of a fresh process, and the gate holds no threads that a child could miss.
_CONTEXT: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
_MEMORY_BYTES = 4 * 1024**3


@dataclass
class _Job:
    """A shard under way: what came of it already, and what is still to scan."""

    index: int
    entries: Sequence[Entry]
    done: list[pa.RecordBatch] = field(default_factory=list)


class _Worker:
    """One process, the pipe to it, and the file that it is at."""

    def __init__(self, root: Path, bounds: Bounds) -> None:
        self.at = _CONTEXT.Value(ctypes.c_long, 0, lock=False)
        self.connection, other = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(other, self.at, root, bounds), daemon=True)
        self.process.start()
        other.close()
        self.job: _Job | None = None
        self.seen = (0, 0.0)

    def start(self, job: _Job) -> None:
        self.job, self.at.value = job, 0
        self.seen = (0, time.monotonic())
        self.connection.send(job.entries)

    def stalled_seconds(self) -> float:
        """How long it has been at the same file."""
        if self.at.value != self.seen[0]:
            self.seen = (self.at.value, time.monotonic())
        return time.monotonic() - self.seen[1]

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, at: Any, root: Path, bounds: Bounds) -> None:
    die_with_parent()
    _limit_memory()

    def note(index: int) -> None:
        at.value = index

    while True:
        try:
            entries = connection.recv()
        except (EOFError, OSError):  # the gate is gone
            os._exit(0)
        connection.send(scan_shard(root, entries, bounds, note))


def _limit_memory() -> None:
    """A decoder that runs wild gets a MemoryError, not the machine's memory."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + _MEMORY_BYTES
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def scan_shards(
    shards: Iterable[Sequence[Entry]], root: Path, bounds: Bounds, workers: int, timeout_seconds: float
) -> Iterator[pa.RecordBatch]:
    """Scan `shards` in `workers` processes; yield their rows in the shards' order.

    A file that kills its process becomes a row `decoder_crash`, one that takes longer than `timeout_seconds` a row
    `decoder_timeout`; the rest of its shard goes to a fresh process. Only a few shards are held at a time. The rows of
    a shard with such a file stand in any order.
    """
    pool = _Pool(shards, root, bounds, workers, timeout_seconds)
    # OpenCV ends its threads here, in the parent: a forked child does not have them, and would wait for them for ever.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield from pool.run()
    finally:
        pool.stop()
        cv2.setNumThreads(threads)


class _Pool:
    """Workers, the shards they are at, and the rows that wait for an earlier shard."""

    def __init__(
        self,
        shards: Iterable[Sequence[Entry]],
        root: Path,
        bounds: Bounds,
        workers: int,
        timeout_seconds: float,
    ) -> None:
        self.shards = enumerate(shards)
        self.root, self.bounds, self.size, self.timeout_seconds = root, bounds, workers, timeout_seconds
        self.workers: list[_Worker] = []
        self.retries: deque[_Job] = deque()
        self.finished: dict[int, pa.RecordBatch] = {}
        self.due = 0
        """The shard whose rows come next."""
        self.started = 0
        """Shards that were begun."""

    def run(self) -> Iterator[pa.RecordBatch]:
        while True:
            self._feed()
            while self.due in self.finished:
                yield self.finished.pop(self.due)
                self.due += 1
                self._feed()
            busy = [worker for worker in self.workers if worker.job]
            if not busy:
                return
            self._collect(busy)

    def stop(self) -> None:
        for worker in self.workers:
            worker.stop()

    def _feed(self) -> None:
        """Give every idle worker a shard, and start workers while there are shards for them."""
        while True:
            idle = next((worker for worker in self.workers if not worker.job), None)
            if idle is None and len(self.workers) == self.size:
                return
            job = self._next_job()
            if job is None:
                return
            if idle is None:
                idle = _Worker(self.root, self.bounds)
                self.workers.append(idle)
            idle.start(job)

    def _next_job(self) -> _Job | None:
        if self.retries:
            return self.retries.popleft()
        if self.started - self.due >= 4 * self.size:  # the shard that is due lags: hold no more rows
            return None
        following = next(self.shards, None)
        if following is None:
            return None
        self.started += 1
        return _Job(*following)

    def _collect(self, busy: list[_Worker]) -> None:
        """Take what workers send, and put away those that died or hang."""
        ready = wait([worker.connection for worker in busy], timeout=min(1.0, self.timeout_seconds / 4))
        for worker in busy:
            job = worker.job
            assert job is not None
            if worker.connection in ready:
                try:
                    job.done.append(worker.connection.recv())
                except (EOFError, OSError):
                    worker.process.join()
                    code = worker.process.exitcode
                    self._bury(worker, job, "decoder_crash", f"the decoder died of it (code {code})")
                else:
                    worker.job = None
                    self.finished[job.index] = _join(job.done)
            elif worker.stalled_seconds() > self.timeout_seconds:
                reason = f"not decoded within {self.timeout_seconds:g} seconds"
                self._bury(worker, job, "decoder_timeout", reason)

    def _bury(self, worker: _Worker, job: _Job, problem: str, reason: str) -> None:
        """Blame the file that the worker was at; the others of its shard, whose rows died too, are scanned again."""
        at = worker.at.value
        worker.stop()
        self.workers.remove(worker)
        row = pa.RecordBatch.from_pylist([failed_row(job.entries[at], problem, reason)], schema=ROW)
        rest = [*job.entries[:at], *job.entries[at + 1 :]]
        if rest:
            self.retries.append(_Job(job.index, rest, [*job.done, row]))
        else:
            self.finished[job.index] = _join([*job.done, row])


def _join(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return (
        batches[0] if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
    )
