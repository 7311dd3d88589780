"""Kills of any process at any moment: ten seconds after the one that was started is gone nothing of the project is left."""

import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.code.prefect_server import PrefectServer, free_port, serving
from tests.e2e.conftest import Project

RUN = ["thaw", "run", "--only", "validate", "--force"]
# What is started, and what of it is killed: by words of its command line; the started one itself where there are none.
KILLS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "flow": (RUN, ()),
    "dvc repro": (["dvc", "repro", "--force", "validate"], ()),
    "ui": (["thaw", "ui"], ()),
    "deploy": (["thaw", "deploy"], ()),
    "server": (RUN, ("-m flows.server",)),
    "stage": (RUN, ("multiprocessing.spawn",)),
    "shipper": (RUN, ("thaw.tracking.shipper",)),
    "supervisor": (["thaw", "ui"], ("thaw.processes",)),
}
TRIGGER = "from prefect.deployments import run_deployment as run; run('thaw/pipeline', timeout=0, parameters={'force': True})"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with serving(tmp_path_factory.mktemp("elsewhere")) as started:
        yield started


@pytest.mark.parametrize("kind", ["flow", "dvc repro", "deploy", "server", "supervisor"])
def test_a_kill_leaves_no_orphan(project: Project, server: PrefectServer, kind: str) -> None:
    kill(project, server, kind, random.Random(kind))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_fifty_kills_leave_no_orphan(project: Project, server: PrefectServer) -> None:
    rng = random.Random(1)
    for number in range(50):
        kill(project, server, list(KILLS)[number % len(KILLS)], rng)


def kill(project: Project, server: PrefectServer, kind: str, rng: random.Random) -> None:
    command, words = KILLS[kind]
    serves = {"PREFECT_API_URL": f"{server.url}/api"} if kind == "deploy" else {}
    ports = ["--mlflow-port", str(free_port()), "--prefect-port", str(free_port())] if "ui" in command else []
    with (project.root.parent / "output.txt").open("w+") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", *command, *ports],
            cwd=project.root,
            env=project.environment(**serves),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        if kind == "deploy":
            await_text(Path(output.name), "deployment run", started)
            project.run(sys.executable, "-c", TRIGGER, **serves)
        time.sleep(rng.uniform(1, 20))
        found = [process for process in of_project(project, *words) if words]
        if kind == "supervisor":  # not the process that stands in for it
            found = [process for process in found if process.ppid() == started.pid]
        # One that is not there yet, or no more, is no one's orphan: the started one is killed in its place.
        killed = rng.choice(found) if found else psutil.Process(started.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            killed.kill()
        # Without a part of it the rest goes on, and ends by itself: well, or with a message.
        code = started.wait(240)
        assert code in (0, 1, 2, -signal.SIGKILL), Path(output.name).read_text()
        deadline = time.monotonic() + 10
        while left := of_project(project):
            assert time.monotonic() < deadline, (kind, [process.cmdline() for process in left])
            time.sleep(0.2)


def await_text(path: Path, text: str, process: "subprocess.Popen[bytes]") -> None:
    while text not in path.read_text():
        assert process.poll() is None, path.read_text()
        time.sleep(0.2)


def of_project(project: Project, *words: str) -> list[psutil.Process]:
    """What works in the project's folder or with its environment, and has all `words` on its command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            own = process.cwd() == str(project.root) or process.environ().get("PREFECT_HOME", "").startswith(
                str(project.root)
            )
            if (
                own
                and process.status() != psutil.STATUS_ZOMBIE
                and all(w in " ".join(process.cmdline()) for w in words)
            ):
                found.append(process)
    return found
