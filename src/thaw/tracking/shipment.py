"""Start the process that ships an outbox, and wait for it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from thaw.tracking.outbox import Outbox

_POLL_SECONDS = 0.1
_LATER = "the next run, or `thaw sync`, uploads what is left"


class Shipment:
    """The process that takes an outbox to MLflow while a run goes on. It loads MLflow at once.

    Args:
        home: the project's folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._log_path = home / ".thaw" / "logs" / "shipper.txt"
        self._outbox: Outbox | None = None
        self._restarted = False
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[str]":
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "thaw.tracking.shipping", str(self._home)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
                start_new_session=True,  # Ctrl-C ends the run; the shipper then ships the rest
                text=True,
            )

    def begin(self, outbox: Outbox) -> None:
        """Ship `outbox`, which has at least one event. A process that is dead already is started again, once."""
        self._outbox = outbox
        if not self._name_outbox():
            self._restart()

    def _name_outbox(self) -> bool:
        assert self._process.stdin and self._outbox
        try:
            self._process.stdin.write(f"{self._outbox.folder}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def _restart(self) -> None:
        self._restarted = True
        self._process.wait()
        self._process = self._start()
        self._name_outbox()

    def wait(self, seconds: float = 60.0) -> str:
        """Wait until everything up to `finish` is shipped.

        Returns:
            What to tell the user: that tracking is down, slow or dead, or what MLflow refused; empty when all is well.
        """
        assert self._outbox, "nothing was begun"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            code = self._process.poll()
            if code is None and not self._outbox.problem():
                time.sleep(_POLL_SECONDS)
            elif code and not self._restarted and not self._outbox.is_shipped():
                self._restart()
            else:
                break
        return self._tell()

    def _tell(self) -> str:
        assert self._outbox
        if self._outbox.is_shipped():
            count = len(self._outbox.refused())
            return f"MLflow refused {count} events: `thaw sync` shows them" if count else ""
        code = self._process.poll()
        if code:
            shown = self._log_path.relative_to(self._home)
            return f"the process that ships to MLflow ended with code {code}, see {shown}; {_LATER}"
        problem = self._outbox.problem()
        return f"tracking is down ({problem}); {_LATER}" if problem else f"MLflow is slow; {_LATER}"
