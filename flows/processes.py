"""Each stage in a process of its own: forked from a server that has TensorFlow loaded, or started plain.

A process for a stage costs 12 seconds when it imports TensorFlow itself, and a fraction of a second when it is forked from one
that has. The fork server runs no operation and touches no GPU; memory is freed when the stage ends.
"""

import contextlib
import importlib
import logging
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from thaw.errors import ThawError
from thaw.params import Params
from thaw.processes import die_with_parent
from thaw.progress import tell_progress, tells_progress

# The stages that a source folder named here is part of need TensorFlow.
_NEEDS_TENSORFLOW = "src/thaw/models"
_GRACE_SECONDS = 30.0
_TELL_SECONDS = 0.1
# Tells the fork server whom it works for: what it loads takes no arguments.
FLOW_PID = "THAW_FLOW_PID"


class StageKilled(RuntimeError):
    """The stage's process was killed from outside: out of memory, most often. Trying again can help."""


class StageFailed(RuntimeError):
    """The stage ended with an error that is not the user's; the text is its traceback."""


def needs_tensorflow(spec: Any) -> bool:
    """Whether a stage's source files include the networks."""
    return any(source.startswith(_NEEDS_TENSORFLOW) for source in spec.sources)


def warm_up() -> None:
    """Start the server that loads TensorFlow, in the background. Call it from the main thread: the server dies with it."""
    os.environ[FLOW_PID] = str(os.getpid())
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")  # fewer page faults; glibc reads it at a process's start
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["flows.warm"])
    from multiprocessing.forkserver import ensure_running

    ensure_running()


class StageProcess:
    """A stage at work.

    Args:
        spec: the stage (`thaw.versioning.StageSpec`).
        root: the project's folder.
        params: handed over, so that an edit of `params.yaml` does not reach a stage at work.
        log_path: what the stage prints goes there.
        forked: from the server that `warm_up` starts; else the process starts plain.
    """

    def __init__(self, spec: Any, root: Path, params: Params, log_path: Path, forked: bool) -> None:
        context: Any = multiprocessing.get_context("forkserver" if forked else "spawn")
        self.name = spec.name
        self._receiver, sender = context.Pipe(duplex=False)
        # Not a daemon: a stage may start processes of its own. It dies with its parent all the same.
        self._process = context.Process(
            target=_work, args=(spec, root, params, log_path, sender), name=spec.name
        )
        self._process.start()
        sender.close()

    def result(self) -> None:
        """Wait for the end. SIGTERM or Ctrl-C in this process ends the stage, which has time to write a checkpoint.

        Raises:
            ThawError: the stage's own, for the user to mend.
            StageFailed: any other error in the stage.
            StageKilled: the process was killed.
        """
        try:
            outcome = self._follow()
            self._process.join()
        except EOFError:
            self._process.join()
            outcome = "killed"
        finally:
            self.stop()
        if outcome == "killed":
            code = self._process.exitcode
            raise StageKilled(f"stage {self.name} was killed (exit code {code}); was there memory enough?")
        if isinstance(outcome, ThawError):
            raise outcome
        if outcome:
            raise StageFailed(f"stage {self.name} failed:\n{outcome}")

    def _follow(self) -> Any:
        """Pass on how far the stage is, until it ends; what it came to."""
        tell_progress(self.name)
        while True:
            wait([self._receiver, self._process.sentinel])
            if not self._receiver.poll():
                return "killed"
            message = self._receiver.recv()
            if not isinstance(message, _Progress):
                return message
            tell_progress(self.name, *message)

    def stop(self) -> None:
        """Ask a stage that still runs to end, then make it."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(_GRACE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class _Progress(NamedTuple):
    """How far a stage is, as it tells the flow."""

    message: str
    done: int
    total: int


class _Teller(logging.Handler):
    """Sends the flow what the stage's loggers tell of progress, ten times a second at most."""

    def __init__(self, sender: Connection) -> None:
        super().__init__()
        self.addFilter(tells_progress)
        self._sender, self._told_at = sender, 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._told_at > _TELL_SECONDS:
            self._told_at = now
            with contextlib.suppress(OSError):  # the flow is gone
                self._sender.send(_Progress(record.getMessage(), record.done, record.total))  # type: ignore[attr-defined]


@contextlib.contextmanager
def _telling(sender: Connection) -> Iterator[None]:
    logger, teller = logging.getLogger("thaw"), _Teller(sender)
    logger.addHandler(teller)
    try:
        yield
    finally:
        logger.removeHandler(teller)
        teller.acquire()  # nothing of it may come into the midst of what is sent next
        teller.release()


def _work(spec: Any, root: Path, params: Params, log_path: Path, sender: Connection) -> None:
    die_with_parent()
    os.chdir(root)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    stages = importlib.import_module("thaw.stages")
    stages.configure_logging()
    logging.captureWarnings(True)
    outcome: Any = None
    try:
        with _telling(sender):
            stages.call_stage(spec, root, params)
    except ThawError as error:
        outcome = ThawError(error.reason, error.cure)
    except (Exception, KeyboardInterrupt):
        outcome = traceback.format_exc()
    with contextlib.suppress(BrokenPipeError):
        sender.send(outcome)
    sys.stdout.flush()
    sys.stderr.flush()
