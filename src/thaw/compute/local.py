"""This machine as an engine: one thread ahead of this one, and processes for what may die."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from thaw.compute.executor import Isolated
from thaw.devices import available_cpus


class Local:
    """An `Executor` (there) on this machine.

    Args:
        workers: processes of `map_isolated`; 0: one for each core.
    """

    def __init__(self, workers: int = 0) -> None:
        self._workers = workers or os.cpu_count() or 1
        self.threads = available_cpus()

    def map(
        self,
        function: Callable[[Any], Any],
        shards: Iterable[Any],
        prepare: Callable[[Any], Any] | None = None,
        on_gpu: bool = False,
    ) -> Iterator[Any]:
        """While a result is used, or `function` works on one shard, the next is made, or prepared, on another thread.

        Two shards are in memory at a time.
        """
        del on_gpu  # what there is, is used
        ahead = prepare or function
        with ThreadPoolExecutor(1, "ahead") as thread:
            pending = None
            for shard in shards:
                upcoming = thread.submit(ahead, shard)
                if pending is not None:
                    yield function(pending.result()) if prepare else pending.result()
                pending = upcoming
            if pending is not None:
                yield function(pending.result()) if prepare else pending.result()

    def map_isolated(self, work: Isolated, shards: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """In processes that are forked, and killed when this is left."""
        from thaw.compute.isolated import map_in_processes  # OpenCV is not loaded for the rest

        return map_in_processes(work, shards, self._workers)
