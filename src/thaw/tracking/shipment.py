"""Start the process that ships an outbox, and wait for it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from thaw.tracking.outbox import Outbox

_POLL_SECONDS = 0.1


class Shipment:
    """The process that takes an outbox to MLflow while a run goes on. It loads MLflow at once.

    Args:
        home: the project's folder.
    """

    def __init__(self, home: Path) -> None:
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        log_path = home / ".thaw" / "logs" / "shipper.txt"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        self._outbox: Outbox | None = None
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "thaw.tracking.shipper", str(home)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
                start_new_session=True,  # Ctrl-C ends the run; the shipper then ships the rest
                text=True,
            )

    def begin(self, outbox: Outbox) -> None:
        """Ship `outbox`, which has at least one event."""
        assert self._process.stdin
        self._outbox = outbox
        self._process.stdin.write(f"{outbox.folder}\n")
        self._process.stdin.flush()

    def wait(self, seconds: float = 60.0) -> str:
        """Wait until everything up to `finish` is shipped; why it is not, where tracking is down or slow, else empty."""
        assert self._outbox, "nothing was begun"
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._outbox.problem():
                break
            time.sleep(_POLL_SECONDS)
        if self._process.poll() is None:
            return self._outbox.problem() or "MLflow is slow"
        return self._outbox.problem()
