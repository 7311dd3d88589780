"""Processes that score work beside each other, on this machine or on a Ray cluster."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from thaw.compute import open_executor
from thaw.params import ComputeParams
from thaw.processes import die_with_parent

Map = Callable[[Iterable[Any]], Iterable[Any]]
"""A result for each of several works, in their order, each given as soon as it is there."""


@contextmanager
def working(task: Callable[[Any], Any], workers: int, compute: ComputeParams) -> Iterator[Map]:
    """Call `task` on works in the block.

    Args:
        task: picklable; it gives the same for a work in whatever process.
        workers: processes on this machine; a cluster has those that `compute` says.
    """
    if compute.engine != "local":
        with open_executor(compute) as executor:
            yield lambda works: executor.map(task, works)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([task.__module__ if hasattr(task, "__module__") else type(task).__module__])
    with ProcessPoolExecutor(workers, context, die_with_parent) as pool:
        yield lambda works: pool.map(task, works)
