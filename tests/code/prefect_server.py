"""A Prefect server of thaw's in a process of its own, for tests."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class PrefectServer:
    """The server's process, and where it listens."""

    host: str
    port: int
    home: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """What a client of this server has in its environment."""
        return {**clean_environment(self.home), "PREFECT_API_URL": f"{self.url}/api"}


def clean_environment(home: Path) -> dict[str, str]:
    """The environment without the settings of whoever runs the tests."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    return {
        **own,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(home: Path, host: str = "127.0.0.1", **extra: str) -> Iterator[PrefectServer]:
    """Start `python -m flows.server` on `host` and wait until it answers."""
    port = free_port(host)
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.server", host, str(port)],
        cwd=ROOT,
        env={
            **clean_environment(home),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            **extra,
        },
    )
    server = PrefectServer(host, port, home, process)
    try:
        wait_until_up(f"{server.url}/api/health", process)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def wait_until_up(url: str, process: "subprocess.Popen[bytes]", seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        assert process.poll() is None and time.monotonic() < deadline, f"{url} does not answer"
        time.sleep(0.1)
