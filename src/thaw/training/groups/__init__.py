"""Processes that train one network together, one on each machine of a Ray cluster (`ray`).

All of them run the same function with the same arguments, on JAX, whose collective operations keep them in step. The first
one leads: it alone writes. When one dies nobody can go on: all are ended, and the group starts again from the last checkpoint.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from thaw.errors import ThawError
from thaw.training.guard import Stop

_log = logging.getLogger("thaw.training")
_POLL_SECONDS = 0.1
_BARRIER_SECONDS = 24 * 3600
_STARTS_FROM_ONE_CHECKPOINT = 3


class Member(NamedTuple):
    """Which process of a group this is."""

    rank: int
    size: int
    coordinator: str
    """Where the first process waits for the others: `host:port`. Empty where there are none."""

    @property
    def leads(self) -> bool:
        """Whether this process writes what the group makes."""
        return self.rank == 0

    @contextmanager
    def after_leader(self, name: str) -> Iterator[None]:
        """Run the block in the leader first, and in the others once it has: what it wrote is there then.

        Args:
            name: of what it writes, once in a process.
        """
        if self.leads:
            yield
        self._meet(name)
        if not self.leads:
            yield

    def _meet(self, name: str) -> None:
        if self.size > 1:
            from jax._src.distributed import global_state

            assert global_state.client is not None, "the process has joined the group"
            global_state.client.wait_at_barrier(name, _BARRIER_SECONDS * 1000)


ALONE = Member(0, 1, "")
Work = Callable[[Member, Stop], None]
"""What a process of a group does, given which one it is, and a stop that only the leader may be asked for. It is pickled."""


class Ended(NamedTuple):
    """How a process of a group ended."""

    error: ThawError | SystemExit | None = None
    """What the work raised for the user, or on request."""
    fault: str = ""
    """What went wrong otherwise: the process died, or an operation that the others take part in failed."""


class Process(Protocol):
    """A process of a group, at work."""

    def poll(self) -> Ended | None:
        """How it ended; None while it is at work."""

    def ask_to_stop(self) -> None:
        """Have it end after its step."""

    def kill(self) -> None:
        """End it at once, if it has not ended."""


class Places(Protocol):
    """Where the processes of a group run."""

    def start(self, work: Work) -> Sequence[Process]:
        """Start one process in each place; the first one leads.

        Raises:
            ThawError: there is no place.
        """

    def close(self) -> None:
        """Give the places back."""


def work_as(member: Member, work: Work, stop: Stop) -> Ended:
    """Do the work; how it ended."""
    try:
        work(member, stop)
    except (ThawError, SystemExit) as error:
        return Ended(error)
    except Exception as error:
        _log.debug("process %d of the training group failed", member.rank, exc_info=True)
        return Ended(fault=f"{type(error).__name__}: {error}")
    return Ended()


def run_group(places: Places, work: Work, stop: Stop, checkpoints_dir: Path) -> None:
    """Run `work` in a group until its leader has done it; where a process dies, all start again.

    Args:
        stop: of this process: when it is asked for, the leader is asked, and ends with a checkpoint.
        checkpoints_dir: where the leader leaves its checkpoints. The third start from the same one is the last.

    Raises:
        ThawError: the work raised it, there is no place, or processes die again and again.
        Stopped: on request.
    """
    starts: Counter[tuple[str, ...]] = Counter()
    try:
        while True:
            starts[_names(checkpoints_dir)] += 1
            ended = _run_once(places.start(work), stop)
            if ended.error is not None:
                raise ended.error
            if not ended.fault:
                return
            if starts[_names(checkpoints_dir)] == _STARTS_FROM_ONE_CHECKPOINT:
                raise ThawError(
                    f"the training group failed {_STARTS_FROM_ONE_CHECKPOINT} times at the same place: {ended.fault[:500]}",
                    "Look at the machines' memory and network, or set devices: auto, which trains on this one alone.",
                )
            _log.warning("the training group lost a process and starts again from the last checkpoint: %s", ended.fault[:200])
    finally:
        places.close()


def _names(checkpoints_dir: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in checkpoints_dir.glob("*.npz")))


def _run_once(processes: Sequence[Process], stop: Stop) -> Ended:
    """Wait until the leader has done its work, or until any process ends otherwise; leave none behind."""
    asked = False
    try:
        while True:
            ends = [process.poll() for process in processes]
            bad = [end for end in ends if end and (end.error or end.fault)]
            if bad:  # once a process is lost the next operation fails in the others, too: what is for the user goes first
                return next((end for end in bad if end.error), bad[0])
            if all(ends):
                return Ended()
            if stop() and not asked:
                processes[0].ask_to_stop()
                asked = True
            time.sleep(_POLL_SECONDS)
    finally:
        for process in processes:
            process.kill()
