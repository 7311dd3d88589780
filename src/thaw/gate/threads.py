"""Work on several cores whose results are wanted in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Job], Result], jobs: Iterable[Job]
) -> Iterator[Result]:
    """`work` of each of `jobs`, in their order; no more in the making or waiting than cores have to do."""
    coming: deque[Future[Result]] = deque()
    for job in jobs:
        coming.append(pool.submit(work, job))
        if len(coming) > 2 * (os.cpu_count() or 1):
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()
