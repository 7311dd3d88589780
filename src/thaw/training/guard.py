"""One training at a time in a folder, and none that outlives who started it."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType

import filelock
import psutil

from thaw.errors import ThawError

_log = logging.getLogger("thaw.training")
_LOCK_SECONDS = 30.0
_POLL_SECONDS = 0.5
_STOPPED_BY_SIGTERM = 128 + signal.SIGTERM
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "fish", "busybox"}


class Stopped(SystemExit):
    """This process was asked to stop, and does; a checkpoint holds where a training stood. Not an error."""


class Stop:
    """Whether this process was asked to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Ask the training to stop at the end of its step."""
        self._asked.set()

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
    threading.Thread(target=_watch_parents, args=(stop, ended), daemon=True).start()
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


def _watch_parents(stop: Stop, ended: threading.Event) -> None:
    parents = starters()
    parent = multiprocessing.parent_process()
    while not ended.wait(_POLL_SECONDS):
        orphaned = parent is not None and wait([parent.sentinel], timeout=0)
        if orphaned or not all(map(_is_alive, parents)):
            _log.warning("the process that started this training is gone: stopping")
            stop.ask()
            return


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def starters() -> list[psutil.Process]:
    """Whom this process works for: its parent, and beyond a shell that only runs a command, that shell's parent.

    An interactive shell is no such thing: a training under `nohup` goes on after it.
    """
    found: list[psutil.Process] = []
    try:
        process = psutil.Process(os.getpid()).parent()
        while process is not None and process.pid > 1:
            shell = process.name() in _SHELLS
            if shell and "-c" not in process.cmdline():
                break
            found.append(process)
            if not shell:
                break
            process = process.parent()
    except psutil.Error:
        pass
    return found
