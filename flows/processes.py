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
import traceback
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from thaw.errors import ThawError
from thaw.params import Params
from thaw.processes import die_with_parent

# The stages that a source folder named here is part of need TensorFlow.
_NEEDS_TENSORFLOW = "src/thaw/models"
_GRACE_SECONDS = 30.0
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
    """

    def __init__(self, spec: Any, root: Path, params: Params, log_path: Path) -> None:
        context: Any = multiprocessing.get_context("forkserver" if needs_tensorflow(spec) else "spawn")
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
            wait([self._receiver, self._process.sentinel])
            outcome = self._receiver.recv() if self._receiver.poll() else "killed"
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

    def stop(self) -> None:
        """Ask a stage that still runs to end, then make it."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(_GRACE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


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
        stages.call_stage(spec, root, params)
    except ThawError as error:
        outcome = ThawError(error.reason, error.cure)
    except (Exception, KeyboardInterrupt):
        outcome = traceback.format_exc()
    with contextlib.suppress(BrokenPipeError):
        sender.send(outcome)
    sys.stdout.flush()
    sys.stderr.flush()
