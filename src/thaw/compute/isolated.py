"""Processes that work on shards, of which a bad item may kill or hang one, and only the item is lost."""

import ctypes
import gc
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

from thaw.compute.executor import Isolated
from thaw.processes import die_with_parent

# A fork costs a hundredth of a fresh process, and the parent holds no threads that a child could miss.
_CONTEXT: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
_MEMORY_BYTES = 4 * 1024**3


@dataclass
class _Job:
    """A shard under way: what came of it already, and what is still to do."""

    index: int
    items: Sequence[Any]
    done: list[Any] = field(default_factory=list)


class _Worker:
    """One process, the pipe to it, and the item that it is at."""

    def __init__(self, work: Isolated) -> None:
        self.at = _CONTEXT.Value(ctypes.c_long, 0, lock=False)
        self.connection, other = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(other, self.at, work), daemon=True)
        self.process.start()
        other.close()
        self.job: _Job | None = None
        self.seen = (0, 0.0)

    def start(self, job: _Job) -> None:
        self.job, self.at.value = job, 0
        self.seen = (0, time.monotonic())
        self.connection.send(job.items)

    def stalled_seconds(self) -> float:
        """How long it has been at the same item."""
        if self.at.value != self.seen[0]:
            self.seen = (self.at.value, time.monotonic())
        return time.monotonic() - self.seen[1]

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, at: Any, work: Isolated) -> None:
    # What the parent left for its garbage collector may end threads that are not here (a network's): to collect it would abort.
    gc.freeze()
    die_with_parent()
    _limit_memory()

    def note(index: int) -> None:
        at.value = index

    while True:
        try:
            items = connection.recv()
        except (EOFError, OSError):  # the parent is gone
            os._exit(0)
        connection.send(work.work(items, note))


def _limit_memory() -> None:
    """What runs wild gets a MemoryError, not the machine's memory."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + _MEMORY_BYTES
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def map_in_processes(work: Isolated, shards: Iterable[Sequence[Any]], workers: int) -> Iterator[Any]:
    """As `Executor.map_isolated`, in `workers` processes of this machine.

    An item that kills its process, or takes longer than `work.timeout_seconds`, comes to what `work.fail` makes of it; the rest
    of its shard goes to a fresh process.
    """
    pool = _Pool(work, shards, workers)
    # OpenCV ends its threads here, in the parent: a forked child does not have them, and would wait for them for ever.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield from pool.run()
    finally:
        pool.stop()
        cv2.setNumThreads(threads)


class OneProcess:
    """One shard after the other, in a process that stays for the next: to fork it takes as long as to scan thirty pictures."""

    def __init__(self, work: Isolated) -> None:
        cv2.setNumThreads(1)  # see above
        self._pool = _Pool(work, (), 1)

    def __call__(self, items: Sequence[Any]) -> Any:
        self._pool.shards = enumerate([items], self._pool.due)
        [result] = self._pool.run()
        return result


class _Pool:
    """Workers, the shards they are at, and the results that wait for an earlier shard's."""

    def __init__(self, work: Isolated, shards: Iterable[Sequence[Any]], workers: int) -> None:
        self.shards = enumerate(shards)
        self.work, self.size = work, workers
        self.workers: list[_Worker] = []
        self.retries: deque[_Job] = deque()
        self.finished: dict[int, Any] = {}
        self.due = 0
        """The shard whose result comes next."""
        self.started = 0
        """Shards that were begun."""

    def run(self) -> Iterator[Any]:
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
                idle = _Worker(self.work)
                self.workers.append(idle)
            idle.start(job)

    def _next_job(self) -> _Job | None:
        if self.retries:
            return self.retries.popleft()
        if self.started - self.due >= 4 * self.size:  # the shard that is due lags: hold no more results
            return None
        following = next(self.shards, None)
        if following is None:
            return None
        self.started += 1
        return _Job(*following)

    def _collect(self, busy: list[_Worker]) -> None:
        """Take what workers send, and put away those that died or hang."""
        timeout = self.work.timeout_seconds
        ready = wait([worker.connection for worker in busy], timeout=min(1.0, timeout / 4))
        for worker in busy:
            job = worker.job
            assert job is not None
            if worker.connection in ready:
                try:
                    job.done.append(worker.connection.recv())
                except (EOFError, OSError):
                    worker.process.join()
                    self._bury(worker, job, worker.process.exitcode)
                else:
                    worker.job = None
                    self._finish(job)
            elif worker.stalled_seconds() > timeout:
                self._bury(worker, job, None)

    def _bury(self, worker: _Worker, job: _Job, exit_code: int | None) -> None:
        """Blame the item that the worker was at; the others of its shard, whose results died too, are done again."""
        at = worker.at.value
        worker.stop()
        self.workers.remove(worker)
        done = [*job.done, self.work.fail(job.items[at], exit_code)]
        rest = [*job.items[:at], *job.items[at + 1 :]]
        if rest:
            self.retries.append(_Job(job.index, rest, done))
        else:
            self._finish(_Job(job.index, rest, done))

    def _finish(self, job: _Job) -> None:
        self.finished[job.index] = job.done[0] if len(job.done) == 1 else self.work.join(job.done)
