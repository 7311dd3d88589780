"""Kills of any process at any moment: ten seconds later nothing of the project is left, and nothing is lost or told wrong."""

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
from tests.e2e.witness import Witness, make_witness

RUN = ["thaw", "run", "--force"]
# What is started, and what of it is killed: by words of its command line; the started one itself where there are none.
KILLS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "flow": (RUN, ()),
    "dvc repro": (["dvc", "repro", "--force"], ()),
    "ui": (["thaw", "ui"], ()),
    "deploy": (["thaw", "deploy"], ()),
    "server": (RUN, ("-m flows.server",)),
    "stage": (RUN, ("multiprocessing.spawn",)),
    "shipper": (RUN, ("thaw.tracking.shipping",)),
    "supervisor": (["thaw", "ui"], ("thaw.processes",)),
}
TRIGGER = "from prefect.deployments import run_deployment as run; run({!r}, timeout=0, parameters={{'force': True}})"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with serving(tmp_path_factory.mktemp("elsewhere")) as started:
        yield started


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Witness:
    return make_witness(tmp_path_factory.mktemp("projekt å"))


@pytest.mark.timeout(1200)
def test_three_kills_leave_no_orphan_and_lose_nothing(project: Witness, server: PrefectServer) -> None:
    kill_many(project, server, ["flow", "dvc repro", "deploy"])


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_fifty_kills_leave_no_orphan_and_lose_nothing(project: Witness, server: PrefectServer) -> None:
    kill_many(project, server, [list(KILLS)[number % len(KILLS)] for number in range(50)])


def kill_many(project: Witness, server: PrefectServer, kinds: list[str]) -> None:
    rng, killed_ms = random.Random(1), []
    for kind in kinds:
        killed_ms.append(kill(project, server, kind, rng))
        project.check_books()
    project.thaw("run")
    assert "up to date" in project.dvc("status").stdout
    assert project.thaw("sync").returncode == 0
    runs = project.runs()
    assert {run["status"] for run in runs} <= {"FINISHED", "FAILED", "KILLED"}
    assert runs[0]["metrics"]["test/value"] == 0.5
    for run in runs:
        assert run["end_ms"] >= run["start_ms"]
        if run["status"] == "KILLED":  # a flow whose stage was killed tries it once more before it gives up
            assert any(-2_000 <= run["end_ms"] - moment <= 60_000 for moment in killed_ms), (run, killed_ms)


def kill(project: Witness, server: PrefectServer, kind: str, rng: random.Random) -> float:
    """Start a command and kill it, or a part of it; when that was, in ms since 1970."""
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
            project.run(sys.executable, "-c", TRIGGER.format(project.deployment), **serves)
        time.sleep(rng.uniform(1, 20))
        found = [process for process in of_project(project, *words) if words]
        if kind == "supervisor":  # not the process that stands in for it
            found = [process for process in found if process.ppid() == started.pid]
        # One that is not there yet, or no more, is no one's orphan: the started one is killed in its place.
        killed = rng.choice(found) if found else psutil.Process(started.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            killed.kill()
        killed_ms = time.time() * 1000
        # Without a part of it the rest goes on, and ends by itself: well, or with a message.
        code = started.wait(240)
        assert code in (0, 1, 2, -signal.SIGKILL), Path(output.name).read_text()
        ended = time.monotonic()
        while left := of_project(project):
            # The shipper is no orphan: it takes to MLflow what is left, which may be a new database, and ends.
            commands = [command_of(process) for process in left]
            shipping = all("thaw.tracking.shipping" in command for command in commands)
            # A stage is asked to stop, and killed after eight seconds; a busy machine takes its time with both.
            assert time.monotonic() - ended < (90 if shipping else 20), (kind, commands)
            time.sleep(0.2)
    return killed_ms


def await_text(path: Path, text: str, process: "subprocess.Popen[bytes]") -> None:
    while text not in path.read_text():
        assert process.poll() is None, path.read_text()
        time.sleep(0.2)


def command_of(process: psutil.Process) -> str:
    """Its command line; that of the shipper for one that is gone meanwhile, as nothing is to be said of it."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return "thaw.tracking.shipping"


def of_project(project: Witness, *words: str) -> list[psutil.Process]:
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
