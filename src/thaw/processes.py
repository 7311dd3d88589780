"""Processes that never outlive the one they work for.

`python -m thaw.processes COMMAND...` is the supervisor that `start_supervised` starts: it ends the command, and all that the
command started, once its standard input closes, which the system does however the starter ends.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, Any

import psutil

from thaw.redaction import redact

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 5.0
_OUTPUT_SECONDS = 1.0
_LAST_SECONDS = 8.0
_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "fish", "busybox"}


def die_with_parent(parent: int | None = None) -> None:
    """Have this process killed when the one it works for ends, even by `kill -9`.

    Args:
        parent: the pid of the starter, which passes it on: read here, it could be that of whoever adopts an orphan. A process
            of `multiprocessing` needs none: it hears of its starter's end, which need not be the process that forked it.
    """
    starter = multiprocessing.parent_process()
    if starter is not None:
        _in_background(lambda: wait([starter.sentinel]))
        parent = None
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    elif parent is not None:
        _in_background(lambda: _await_adoption(parent))
    if parent is not None and os.getppid() != parent:  # it ended before
        os.kill(os.getpid(), signal.SIGKILL)


def _in_background(await_end: Callable[[], object]) -> None:
    def run() -> None:
        await_end()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=run, name="parent", daemon=True).start()


def _await_adoption(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)


def start_supervised(
    command: list[str], environment: Mapping[str, str], output: int | IO[bytes] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a command under a supervisor: it ends with this process, together with all that it started.

    Its output comes out of the supervisor with secrets hidden; its exit code is the supervisor's. SIGTERM to the supervisor, or
    closing its `stdin`, ends the command. A Ctrl-C in the terminal reaches neither: the starter may have last words for it.

    Args:
        environment: the command's; where `thaw` is found comes from this process.
        output: where to; none for this process's own.
    """
    paths = [str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")]
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "thaw.processes", *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,
    )


def end_with_starters() -> None:
    """Have this process asked to stop (SIGTERM), and killed after eight seconds, when one that it works for is gone."""
    watch_starters(_stop_this_process)


def watch_starters(on_gone: Callable[[], object], until: threading.Event | None = None) -> None:
    """Call `on_gone` once, in a thread, when one of `starters` has ended, unless `until` is set before."""
    until, found = until or threading.Event(), starters()

    def watch() -> None:
        while not until.wait(_POLL_SECONDS):
            if not all(map(_is_alive, found)):
                on_gone()
                return

    threading.Thread(target=watch, name="starters", daemon=True).start()


def _stop_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


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


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def main() -> None:
    """Run the command in `sys.argv` until it ends, standard input closes or SIGTERM comes; its exit code."""
    signal.signal(signal.SIGTERM, _end)
    process: Any = subprocess.Popen(  # noqa: S603
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    _end_group_after_this_process(process.pid)
    output = threading.Thread(target=_pass_on, args=(process.stdout,), name="output", daemon=True)
    output.start()
    threading.Thread(target=_await_starter, name="starter", daemon=True).start()
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end_group(process.pid, process.poll)
        output.join(_OUTPUT_SECONDS)
    sys.exit(code if code >= 0 else 128 - code)


def _end(_signal: int, _frame: Any) -> None:
    sys.exit(128 + signal.SIGTERM)


def _await_starter() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _pass_on(stream: IO[bytes]) -> None:
    for line in stream:
        with contextlib.suppress(OSError):  # nobody reads on; the command need not block for that
            os.write(1, redact(line.decode(errors="replace")).encode())


def _end_group_after_this_process(group: int) -> None:
    """Fork a process that ends the group once this one is gone, be it by SIGKILL."""
    gone, held = os.pipe()
    if os.fork():
        os.close(gone)  # `held` stays open, here only, for as long as this process lives
        return
    os.close(held)
    os.setsid()
    os.close(0)  # the starter's end of it must not stay open
    os.read(gone, 1)
    _end_group(group, lambda: None)
    os._exit(0)


def _end_group(group: int, reap: Callable[[], object]) -> None:
    """End every process of a group: asked first, killed after five seconds."""
    deadline = time.monotonic() + _GRACE_SECONDS
    number = signal.SIGTERM
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while True:
            os.killpg(group, number)
            if number == signal.SIGKILL:
                return
            while time.monotonic() < deadline:
                reap()
                os.killpg(group, 0)
                time.sleep(_POLL_SECONDS / 4)
            number = signal.SIGKILL


if __name__ == "__main__":
    main()
