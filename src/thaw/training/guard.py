"""One training at a time in a folder, and none that outlives who started it."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import filelock

from thaw.errors import ThawError
from thaw.processes import watch_starters

_log = logging.getLogger("thaw.training")
_LOCK_SECONDS = 30.0
_STOPPED_BY_SIGTERM = 128 + signal.SIGTERM


class Stopped(SystemExit):
    """This process was asked to stop, and does; a checkpoint holds where a training stood. Not an error."""


class Stop:
    """Whether this process was asked to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Ask the training to stop at the end of its step."""
        self._asked.set()

    def orphaned(self) -> None:
        """Ask the training to stop, for want of whom it works for."""
        _log.warning("the process that started this training is gone: stopping")
        self.ask()

    def __call__(self) -> bool:
        return self._asked.is_set()

    def check(self) -> None:
        """End here if this process was asked to stop.

        Raises:
            Stopped: it was.
        """
        if self():
            _log.warning("stopped on request; the next run goes on from here")
            raise Stopped(_STOPPED_BY_SIGTERM)


@contextmanager
def guarded(scratch_dir: Path) -> Iterator[Stop]:
    """Own `scratch_dir` while the block runs, and hear SIGTERM and the death of the parent as a wish to stop.

    The lock is freed by the system however this process ends. A training that is just ending is waited for.

    Raises:
        ThawError: another process trains here.
    """
    stop = Stop()
    scratch_dir.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(scratch_dir / "lock", timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise ThawError(
            f"{scratch_dir}: another process trains here", "Wait for it, or end it, then run this again."
        ) from None
    ended = threading.Event()
    watch_starters(stop.orphaned, ended)
    previous = _on_sigterm(stop)
    try:
        yield stop
    finally:
        ended.set()
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)
        lock.release()


def _on_sigterm(stop: Stop):  # type: ignore[no-untyped-def]
    """Let SIGTERM ask for a stop; gives the handler before, None outside the main thread, where none can be set."""
    if threading.current_thread() is not threading.main_thread():
        return None

    def handle(number: int, frame: FrameType | None) -> None:
        stop.ask()

    return signal.signal(signal.SIGTERM, handle)
