"""A password planted in the tracking server's address appears in nothing that is written, printed or listed."""

import os
import subprocess
import sys
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from tests.code.prefect_server import free_port
from tests.e2e.conftest import Project
from tests.e2e.test_orphans import command_of
from tests.e2e.test_servers import at_work, of_project

PLANTED = "pl@nted-S3cret"
QUOTED = "pl%40nted-S3cret"
ENCODED = b64encode(f"me:{PLANTED}".encode()).decode()


class Refusing(BaseHTTPRequestHandler):
    """A tracking server that lets nobody in, and says whom it refused."""

    def do_GET(self) -> None:
        body = f"no {self.headers.get('Authorization', 'name')} here".encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=["down", pytest.param("refusing", marks=pytest.mark.slow)])
def address(request: pytest.FixtureRequest):
    if request.param == "down":
        yield f"http://me:{QUOTED}@127.0.0.1:{free_port()}"
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://me:{QUOTED}@127.0.0.1:{server.server_port}"
    server.shutdown()


def require_hidden(project: Project, *outputs: str) -> None:
    forms = [PLANTED, QUOTED, ENCODED]
    for text in outputs:
        assert not any(form in text for form in forms), text
    for folder, _, files in os.walk(project.root):
        for path in (Path(folder) / name for name in files):
            assert not path.is_file() or not any(form.encode() in path.read_bytes() for form in forms), path


def test_a_stage_and_its_shipper(project: Project, address: str) -> None:
    done = project.thaw("stage", "validate", check=False, MLFLOW_TRACKING_URI=address)
    assert done.returncode == 0
    assert "tracking is down" in done.stderr
    require_hidden(project, done.stdout, done.stderr)
    problem = next((project.root / ".thaw" / "outbox").glob("*/problem.txt")).read_text()
    assert "127.0.0.1" in problem or "401" in problem


def test_a_run_and_what_prefect_keeps_of_it(project: Project) -> None:
    address = f"http://me:{QUOTED}@127.0.0.1:{free_port()}"
    with at_work(project, "run", "--only", "validate", "--force", MLFLOW_TRACKING_URI=address) as run:
        commands = []
        while run.poll() is None:
            commands += [command_of(process) for process in of_project(project)]
            psutil.cpu_percent(0.5)
        output = run.communicate()[0]
    assert run.returncode == 0, output
    assert len(set(commands)) > 3
    require_hidden(project, output, *set(commands))


def test_thaw_runs_tells_why_without_it(project: Project, address: str) -> None:
    done = project.thaw("runs", check=False, MLFLOW_TRACKING_URI=address, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert done.returncode != 0
    require_hidden(project, done.stdout, done.stderr)
    left = project.thaw("sync", check=False, MLFLOW_TRACKING_URI=address)
    assert left.returncode == 1 and "events left" in left.stdout
    require_hidden(project, left.stdout, left.stderr)


@pytest.mark.slow
def test_thaw_ui_shows_a_server_that_is_not_its_own(project: Project, address: str) -> None:
    """And starts none on it: MLflow would print the address, and does not serve another server's runs."""
    with at_work(project, "ui", "--prefect-port", str(free_port()), MLFLOW_TRACKING_URI=address) as ui:
        assert ui.stdout
        lines = [ui.stdout.readline(), ui.stdout.readline()]
        assert lines[0].startswith("MLflow   http://***@127.0.0.1:"), lines
        assert lines[1].startswith("Prefect")
        assert not of_project(project, "mlflow", "server")
    require_hidden(project, *lines)


def test_a_database_that_mlflow_cannot_open(project: Project) -> None:
    """MLflow's crash prints the address; the terminal gets its last lines, the log all of them."""
    address = f"postgresql://me:{QUOTED}@127.0.0.1:{free_port()}/thaw"
    done = subprocess.run(
        [sys.executable, "-m", "thaw", "ui", "--prefect-port", str(free_port())],
        cwd=project.root,
        env=project.environment(MLFLOW_TRACKING_URI=address),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "does not answer" in done.stderr
    require_hidden(project, done.stdout, done.stderr)
