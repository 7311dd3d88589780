"""Prefect's servers around a run: unreachable, killed in its midst, the run's own and a foreign one."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.code.prefect_server import free_port, serving
from tests.code.test_prefect_origins import CHROMIUM, browse
from tests.e2e.conftest import Project

ONE_STAGE = ("run", "--only", "validate", "--force")


@contextlib.contextmanager
def at_work(project: Project, *arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "thaw", *arguments],
        cwd=project.root,
        env=project.environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def of_project(project: Project, *words: str) -> list[psutil.Process]:
    """The processes that work in the project, by what their command lines hold."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(project.root) and process.status() != psutil.STATUS_ZOMBIE:
                command = " ".join(process.cmdline())
                if all(word in command for word in words):
                    found.append(process)
    return found


def stage_is_at_work(project: Project, run: "subprocess.Popen[str]") -> bool:
    assert run.poll() is None, run.communicate()[0]
    log = project.root / ".thaw" / "validate" / "log.txt"
    return bool(of_project(project, "multiprocessing.spawn")) and log.exists()


def test_an_unreachable_server_is_one_message_at_once(project: Project) -> None:
    address = f"http://me:swordfish@127.0.0.1:{free_port()}/api"
    began = time.monotonic()
    done = project.thaw("run", check=False, PREFECT_API_URL=address)
    assert time.monotonic() - began < 10
    assert done.returncode == 2
    assert "no Prefect server answers at http://***@127.0.0.1" in done.stderr and "cure:" in done.stderr
    assert "Traceback" not in done.stderr and "swordfish" not in done.stdout + done.stderr


def test_the_address_in_prefects_profile_counts(project: Project) -> None:
    address = f"http://127.0.0.1:{free_port()}/api"
    home = project.root / ".profiles"
    home.mkdir()
    profiles = f'active = "here"\n[profiles.here]\nPREFECT_API_URL = "{address}"\n[profiles.none]\n'
    (home / "profiles.toml").write_text(profiles)
    done = project.thaw("run", check=False, PREFECT_HOME=str(home))
    assert address in done.stderr
    done = project.thaw("deploy", check=False, PREFECT_HOME=str(home), PREFECT_PROFILE="none")
    assert "no Prefect server to serve to" in done.stderr


def test_a_wrong_schedule_is_told_before_anything_is_served(project: Project) -> None:
    done = project.thaw("deploy", "--cron", "bad", check=False)
    assert done.returncode == 2
    assert "--cron 'bad': not a schedule" in done.stderr and "0 6 * * *" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_goes_on_when_its_own_server_is_killed(project: Project) -> None:
    """Behind a company's proxy, too, which knows nothing of this machine."""
    proxy = f"http://127.0.0.1:{free_port()}"
    with at_work(project, *ONE_STAGE, http_proxy=proxy, HTTPS_PROXY=proxy) as run:
        wait_for(lambda: stage_is_at_work(project, run), 120)
        servers = [
            process
            for process in of_project(project, "flows.server")
            if "thaw.processes" not in process.cmdline()
        ]
        assert len(servers) == 1
        servers[0].kill()
        output = run.communicate(timeout=300)[0]
    assert run.returncode == 0, output
    assert "Finished in state Completed" in output, "Prefect recorded the end"
    wait_for(lambda: not of_project(project), 10)


@pytest.mark.slow
def test_a_run_is_decided_by_its_stages_when_a_foreign_server_is_gone(project: Project) -> None:
    with (
        serving(project.root / ".elsewhere") as server,
        at_work(project, *ONE_STAGE, PREFECT_API_URL=f"{server.url}/api") as run,
    ):
        wait_for(lambda: stage_is_at_work(project, run), 120)
        server.process.kill()
        gone = time.monotonic()
        output = run.communicate(timeout=300)[0]
        seconds = time.monotonic() - gone
    print(output)
    assert run.returncode == 0
    assert output.count("warning: Prefect did not record how the run ended") == 1
    assert "Traceback" not in output
    assert seconds < 90
    assert project.outcomes(project.runs()[0]) == {"validate": "ran"}
    assert "validate" not in project.dvc("status").stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_thaw_ui_opens_the_table_of_runs_and_leaves_nothing(project: Project, number: int, tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    ports = ["--mlflow-port", str(free_port()), "--prefect-port", str(free_port())]
    with at_work(project, "ui", "--open", *ports, BROWSER=f"{browser} %s") as ui:
        assert ui.stdout
        lines = list(itertools.dropwhile(lambda line: not line.startswith("MLflow"), itertools.islice(ui.stdout, 3)))
        assert [line.split()[0] for line in lines[:2]] == ["MLflow", "Prefect"], lines
        assert "`thaw deploy` adds the form" in lines[1]
        wait_for(opened.exists, 10)
        assert opened.read_text().strip() == lines[0].split()[1]
        assert len(of_project(project)) >= 5
        os.kill(ui.pid, number)
        wait_for(lambda: not of_project(project), 10)
        assert ui.wait() == (0 if number == signal.SIGTERM else -number)


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which CI installs")
def test_pages_work_from_this_machines_other_addresses(project: Project, tmp_path: Path) -> None:
    ports = ["--mlflow-port", str(free_port()), "--prefect-port", str(free_port())]
    with at_work(project, "ui", "--host", "0.0.0.0", *ports) as ui:
        assert ui.stdout
        told = list(itertools.takewhile(lambda line: not line.startswith("Ctrl-C"), ui.stdout))
        assert "know no passwords" in told[-1]
        pages = {line.split()[0]: line.split()[1].partition("/#")[0] for line in reversed(told[:-1])}
        for name, path, shown in [
            ("MLflow", "/#/experiments", "Experiments"),
            ("Prefect", "/flows", "Flows"),
        ]:
            dom, console = browse(pages[name] + path, tmp_path / name)
            assert shown in dom, pages
            assert "error" not in console.lower(), console
        status = {
            url: answer_to(url, origin)
            for url in (
                f"{pages['MLflow']}/ajax-api/2.0/mlflow/experiments/create",
                f"{pages['Prefect']}/api/flows/",
            )
            for origin in ("http://evil.example",)
        }
        assert set(status.values()) == {403}


def answer_to(url: str, origin: str) -> int:
    """The status of a request that a browser sends for a page of `origin`."""
    headers = {"Content-Type": "application/json", "Origin": origin}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, b'{"name": "planted"}', headers), timeout=20
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
def test_ui_listens_on_ipv6(project: Project) -> None:
    ports = ["--mlflow-port", str(free_port()), "--prefect-port", str(free_port())]
    with at_work(project, "ui", "--host", "::1", *ports) as ui:
        assert ui.stdout
        lines = list(itertools.dropwhile(lambda line: not line.startswith("MLflow"), itertools.islice(ui.stdout, 3)))
        assert [line.split()[1].rpartition(":")[0] for line in lines[:2]] == ["http://[::1]"] * 2, lines
        assert answer_to(f"{lines[1].split()[1]}/api/flows/", lines[1].split()[1]) in (200, 201)


@pytest.mark.slow  # test_orphans.py does it at random moments
def test_a_killed_deployment_takes_the_run_it_started_along(project: Project) -> None:
    with (
        serving(project.root / ".elsewhere") as server,
        at_work(project, "deploy", PREFECT_API_URL=f"{server.url}/api") as deploy,
    ):
        assert deploy.stdout
        for line in deploy.stdout:
            if "deployment run" in line:
                break
        assert deploy.poll() is None
        trigger = (
            "from prefect.deployments import run_deployment as run\n"
            f"run({project.deployment!r}, timeout=0, parameters={{'force': True}})"
        )
        project.run(sys.executable, "-c", trigger, PREFECT_API_URL=f"{server.url}/api")
        wait_for(lambda: stage_is_at_work(project, deploy), 120)
        deploy.kill()
        wait_for(lambda: not of_project(project), 10)
