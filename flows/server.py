"""A Prefect server: `python -m flows.server HOST PORT`. `thaw ui` starts one, and a run where none is running.

Prefect starts a server by itself, but only once the flow begins, and leaves it behind when the flow is killed.
"""

import atexit
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from filelock import FileLock

from flows.origins import App, Message, OwnPagesOnly, Receive, Send
from thaw.addresses import LOOPBACK, require_prefect, server_url
from thaw.errors import ThawError
from thaw.processes import start_supervised
from thaw.project import find_root

_START_SECONDS = 180.0
_POLL_SECONDS = 0.1
_RESTARTS = 5
# Half a minute in all, which bridges a restart.
_RETRIES = 4
_RETRIES_ELSEWHERE = 2
_PAGES = server_url(LOOPBACK, 4200)
"""Where `thaw ui` will serve the pages of a run whose own server serves none."""


def use_named_server() -> bool:
    """Whether `PREFECT_API_URL` names a server. Prefect is then held to seconds, not minutes, where it goes away.

    Raises:
        ThawError: nothing answers there.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    if url:
        require_prefect(url)
        os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", str(_RETRIES_ELSEWHERE))
    return bool(url)


class Server:
    """The server of one run, ended with it, and started again where it dies before.

    `PREFECT_API_URL` names it from then on: make it before Prefect is imported.
    """

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            self._port = probe.getsockname()[1]
        self.url = f"{server_url(LOOPBACK, self._port)}/api"
        self._ending = threading.Event()
        self._process = self._start()
        os.environ["PREFECT_API_URL"] = self.url
        os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", str(_RETRIES))
        os.environ.setdefault("PREFECT_UI_URL", _PAGES)
        # It serves no pages, and Prefect would send the user to them.
        logging.getLogger("prefect.flow_runs").addFilter(lambda record: "View at " not in record.getMessage())
        atexit.register(self.stop)
        threading.Thread(target=self._keep_up, name="server", daemon=True).start()

    def _start(self) -> "subprocess.Popen[bytes]":
        own = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"}
        command = [sys.executable, "-m", "flows.server", LOOPBACK, str(self._port)]
        return start_supervised(command, {**os.environ, **own}, sys.stderr.fileno())

    def _keep_up(self) -> None:
        for _ in range(_RESTARTS):
            self._process.wait()
            if self._ending.is_set():
                return
            self._process = self._start()

    def wait_until_up(self) -> None:
        """Wait until the server answers.

        Raises:
            ThawError: it does not start.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):  # noqa: S310
                    return
            except OSError:
                time.sleep(_POLL_SECONDS)
        raise ThawError(
            "Prefect's server does not start", "See its message above, or start one with `thaw ui`."
        )

    def stop(self) -> None:
        """End the server."""
        self._ending.set()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _OneAtATime:
    """ASGI middleware: of the servers with one `PREFECT_HOME` one starts up at a time. Two would both migrate the database."""

    def __init__(self, app: App, lock_path: Path) -> None:
        self._app = app
        self._lock = FileLock(lock_path, timeout=_START_SECONDS)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def release_when_started(message: Message) -> None:
            self._lock.release()
            await send(message)

        self._lock.acquire()  # nothing is served yet: the event loop may well wait
        await self._app(scope, receive, release_when_started)


def _keep_runs_in(root: Path) -> None:
    """Have the server keep this project's runs apart, unless `PREFECT_HOME` names a place; the user's profile still counts."""
    if not os.environ.get("PREFECT_HOME"):
        os.environ.setdefault("PREFECT_PROFILES_PATH", str(Path.home() / ".prefect" / "profiles.toml"))
        os.environ["PREFECT_HOME"] = str(root / ".thaw" / "prefect")


def serve(host: str, port: int) -> None:
    """Serve Prefect's interface and pages until SIGTERM."""
    _keep_runs_in(find_root())
    os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = server_url(host, port)
    os.environ["PREFECT_UI_API_URL"] = (
        "/api"  # whichever of this machine's addresses the page was asked for at
    )
    os.environ["PREFECT__SERVER_FINAL"] = "1"
    # Its second interface asks a company that counts visits, and no setting of Prefect's keeps it from that.
    os.environ["PREFECT_SERVER_UI_V2_ENABLED"] = "false"
    os.environ["PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT"] = "false"
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    home = get_current_settings().home
    home.mkdir(parents=True, exist_ok=True)
    app = OwnPagesOnly(_OneAtATime(create_app(), home / "start.lock"), host, port)
    uvicorn.run(app, host=host, port=port, log_level="error", lifespan="on")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
