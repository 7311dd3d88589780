"""A Prefect server for one run, where none is running: started before anything else, and ended with the run.

Prefect starts such a server by itself, but only once the flow begins, and leaves it behind when the flow is killed.
"""

import atexit
import logging
import os
import socket
import subprocess
import sys
import time
import urllib.request

from thaw.errors import ThawError
from thaw.processes import die_with_parent

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 180.0
_POLL_SECONDS = 0.1


class Server:
    """The server's process. `PREFECT_API_URL` names it from then on: make it before Prefect is imported."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind((_LOOPBACK, 0))
            port = probe.getsockname()[1]
        self.url = f"http://{_LOOPBACK}:{port}/api"
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "flows.server", str(port)],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"},
            start_new_session=True,  # Ctrl-C ends the flow, which still has to say so to the server
        )
        os.environ["PREFECT_API_URL"] = self.url
        # It serves no pages, and Prefect would send the user to them.
        logging.getLogger("prefect.flow_runs").addFilter(lambda record: "View at " not in record.getMessage())
        atexit.register(self.stop)

    def wait_until_up(self) -> None:
        """Wait until the server answers.

        Raises:
            ThawError: it ended, or does not answer.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):  # noqa: S310
                    return
            except OSError:
                time.sleep(_POLL_SECONDS)
        raise ThawError("Prefect's server does not start", "See its message above, or start one with `thaw ui`.")

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


if __name__ == "__main__":
    die_with_parent()
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host=_LOOPBACK,
        port=int(sys.argv[1]),
        log_level="error",
        lifespan="on",
    )
