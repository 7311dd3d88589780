"""Real nodes of Ray: `ray start` in processes of their own."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from thaw.processes import start_supervised

ROOT = Path(__file__).parents[2]
# Read by every Python process of a node before anything else: pictures that kill or hang the decoder that opens them.
_SITE = """
import os, time
import PIL.Image
_open = PIL.Image.open
def open_or_die(file, *arguments, **options):
    data = file.getvalue() if hasattr(file, "getvalue") else b""
    if data == b"kill":
        os.kill(os.getpid(), 9)
    if data == b"hang":
        time.sleep(600)
    return _open(file, *arguments, **options)
PIL.Image.open = open_or_die
"""


class Node:
    """A node, until `kill`.

    Args:
        home: where Ray keeps its session; a short path, or its sockets have names that are too long.
        arguments: of `ray start`.
        prefix: what the command is run by, such as `ip netns exec NAME`.
        source: the thaw that the node has.
    """

    def __init__(self, home: Path, *arguments: str, prefix: tuple[str, ...] = (), source: Path = ROOT / "src") -> None:
        home.mkdir(parents=True, exist_ok=True)
        (home / "sitecustomize.py").write_text(_SITE)
        self.log = home / "log.txt"
        path = os.pathsep.join([str(home), str(source), str(ROOT)])
        command = [
            *prefix, "env", f"PYTHONPATH={path}", sys.executable, "-m", "ray.scripts.scripts", "start", "--block",
            "--disable-usage-stats", "--object-store-memory=200000000", "--dashboard-agent-listen-port=0", *arguments,
        ]  # fmt: skip
        environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "PYTHONWARNINGS": "ignore"}
        with self.log.open("wb") as log:
            self.process = start_supervised(command, environment, log)  # it ends with the tests, however they end
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in self.log.read_text(errors="replace"):
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text(errors="replace")
            time.sleep(0.1)

    def processes(self) -> list[psutil.Process]:
        """All that the node consists of."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        """The processes that do tasks."""
        return [process for process in self.processes() if process.name().startswith(("ray::IDLE", "ray::_do_shard"))]

    def kill(self) -> None:
        """As a machine goes that loses power."""
        if self.process.poll() is None:
            for process in self.processes():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self.process.wait()


def start_head(home: Path, port: int, cpus: int, *arguments: str, prefix: tuple[str, ...] = ()) -> Node:
    """The node that others join, and that `ray://` is answered by on the next port."""
    return Node(
        home, "--head", f"--port={port}", f"--ray-client-server-port={port + 1}", f"--num-cpus={cpus}", f"--temp-dir={home}/r",
        "--include-dashboard=false", *arguments, prefix=prefix,
    )  # fmt: skip
