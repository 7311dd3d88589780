"""Runs that are triggered from Prefect: its form in a browser, parameters of a run's own, two projects on one server."""

import contextlib
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.code.browser import CHROMIUM, browsing
from tests.code.prefect_server import PrefectServer, serving
from tests.code.terminal import run_in_terminal, screen
from tests.e2e.test_servers import at_work
from tests.e2e.witness import Witness, make_witness
from thaw.tracking.outbox import all_outboxes


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    root = tmp_path / "проект å #1"
    root.mkdir()
    return make_witness(root)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with serving(tmp_path_factory.mktemp("prefect")) as started:
        yield started


def api(server: PrefectServer, path: str, **body: Any) -> Any:
    """An answer of Prefect's server; as Prefect's own client, asked again where its database is busy (503)."""
    request = urllib.request.Request(
        f"{server.url}/api/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            assert error.code == 503 and time.monotonic() < deadline, error
            time.sleep(0.5)


def contents(project: Witness) -> dict[str, bytes]:
    """The files of the project that a run in it would change."""
    paths = [*project.root.glob("*"), *project.root.glob("data/*"), *project.root.glob("reports/*")]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


@contextlib.contextmanager
def deployed(project: Witness, server: PrefectServer) -> Iterator[dict[str, Any]]:
    """The project's deployment, as Prefect knows it, while `thaw deploy` serves it."""
    with at_work(project, "deploy", PREFECT_API_URL=f"{server.url}/api"):
        name = ""
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError, KeyError, ValueError):
                known = json.loads((project.root / ".thaw" / "project.json").read_text())
                # Until a copy asks for its name the file is that of what it was copied from.
                name = known["name"] if known["place"] == str(project.root.resolve()) else ""
            found = api(server, "deployments/filter", deployments={"name": {"any_": [name]}}) if name else []
            if found:
                break
            assert time.monotonic() < deadline
            time.sleep(0.3)
        yield found[0]


def ended(server: PrefectServer, run_id: str) -> dict[str, Any]:
    """The flow run, once it has ended."""
    deadline = time.monotonic() + 120
    while True:
        (run,) = api(server, "flow_runs/filter", flow_runs={"id": {"any_": [run_id]}})
        if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return dict(run)
        assert time.monotonic() < deadline, run["state"]
        time.sleep(0.3)


def trigger(server: PrefectServer, deployment: dict[str, Any], **parameters: Any) -> str:
    key = str(uuid.uuid4())  # asked twice, it is one run all the same
    run = api(server, f"deployments/{deployment['id']}/create_flow_run", parameters=parameters, idempotency_key=key)
    return str(run["id"])


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which CI installs")
def test_the_form_is_filled_in_and_the_project_stays_as_it_is(
    witness: Witness, server: PrefectServer, tmp_path: Path
) -> None:
    now = (witness.root / "params.yaml").read_bytes()
    witness.thaw("run", "-S", "fine_tune.epochs=7", "-S", "augment.vertical_flip=false")
    (witness.root / "params.yaml").write_bytes(now)  # neither is a stage's of the witness
    before = contents(witness)
    with deployed(witness, server) as deployment, browsing(tmp_path / "browser") as page:
        told = witness.thaw("runs", "1", PREFECT_API_URL=f"{server.url}/api").stdout
        assert "fine_tune.epochs: 7 then, " in told
        assert "thaw run --no-apply -S augment.vertical_flip=False -S fine_tune.epochs=7\n" in told
        (link,) = [line.split("form: ")[1] for line in told.splitlines() if "Prefect's form: " in line]
        assert link.startswith(f"{server.url}/deployments/deployment/{deployment['id']}/run?parameters=")
        page.open(link)
        page.wait("document.body.innerText.includes('fine_tune.learning_rate')")
        page.settle(2)
        assert page.field("fine_tune.epochs") == "7"
        assert '"augment.vertical_flip": false' in page.text()
        if folder := os.environ.get("THAW_PICTURES"):
            page.picture(Path(folder, "form.png"), whole=True)
        page.fill("fine_tune.learning_rate", "0.0125")
        page.choose("only (Optional)", "validate")
        page.settle(1)
        if folder:
            page.picture(Path(folder, "filled.png"), whole=True)
        page.click_text("Submit", "button")
        page.wait("!location.pathname.endsWith('/run')")
        page.settle(1)
        runs = api(server, "flow_runs/filter", deployments={"id": {"any_": [deployment["id"]]}})
        assert page.beyond_loopback() == []
        run = ended(server, runs[0]["id"])
    assert (len(runs), run["state_type"]) == (1, "COMPLETED"), run["state"]
    recorded = witness.runs()[0]
    assert recorded["params"]["fine_tune.learning_rate"] == "0.0125"
    assert (recorded["params"]["fine_tune.epochs"], recorded["params"]["augment.vertical_flip"]) == ("7", "False")
    events = next(reversed(all_outboxes(witness.root))).events_path.read_text()
    form = f"{server.url}/deployments/deployment/{deployment['id']}/run?parameters="
    assert form in events, "its report leads to the form, filled in as this run was"
    assert witness.outcomes(recorded) == {"validate": "restored"}
    assert contents(witness) == before
    assert "up to date" in witness.dvc("status").stdout


@pytest.mark.parametrize("count", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_two_clones_on_one_server_run_what_is_theirs(
    tmp_path: Path, server: PrefectServer, count: int
) -> None:
    """The second is a copy of the first, as it lies on the disk."""
    (tmp_path / "one").mkdir()
    one = make_witness(tmp_path / "one")
    one.thaw("run")
    shutil.copytree(one.root, tmp_path / "two" / "one", symlinks=True)
    two = Witness(tmp_path / "two" / "one")
    with deployed(one, server) as first, deployed(two, server) as second:
        assert first["name"] != second["name"]
        triggered = [
            (project, value, trigger(server, deployment, overrides={"evaluate.threshold": value}))
            for number in range(count)
            for project, deployment, value in ((one, first, 0.1 + number / 100), (two, second, 0.6 + number / 100))
        ]
        states = [ended(server, run_id)["state_type"] for _, _, run_id in triggered]
    assert states == ["COMPLETED"] * 2 * count
    for project in (one, two):
        values = sorted(value for owner, value, _ in triggered if owner is project)
        runs = [run for run in project.runs() if run["params"]["evaluate.threshold"] != "0.5"]
        assert sorted(run["metrics"]["test/value"] for run in runs) == values


def test_a_run_applies_its_changes_or_leaves_them_to_be_restored(witness: Witness) -> None:
    rate = ("-S", "fine_tune.learning_rate=0.25")
    command = [sys.executable, "-m", "thaw", "run", *rate, "-S", "evaluate.threshold=0.75"]
    code, written = run_in_terminal(command, witness.environment(), witness.root, columns=120)
    lines = [line for line in screen(written) if line]
    assert code == 0 and any("params.yaml: evaluate.threshold: 0.5 -> 0.75" in line for line in lines)
    assert "validate " in written and "\x1b[2K" in written, "a bar tells which stage is at work"
    assert [line.split()[0] for line in lines[-6:]] == ["Result", "Audit", "Changed", "Stages", "Report", "Compare"]
    assert not [line for line in lines if "Finished in state" in line or "ready ━" in line]
    assert "up to date" in witness.dvc("status").stdout
    before = contents(witness)

    own = json.loads(witness.thaw("run", "--no-apply", "-S", "evaluate.threshold=0.125", "--json").stdout)
    assert own["metrics"] == {"code": 1, **own["metrics"], "value": 0.125}
    assert contents(witness) == before, "the project has the result that its parameters give"
    assert witness.runs()[0]["metrics"]["test/value"] == 0.125
    assert not (witness.root / ".thaw" / "workspace").exists()
    assert not list(witness.root.glob(".thaw/experiments/*"))

    number = witness.runs()[0]["number"]
    witness.thaw("restore", str(number), "--yes")
    assert json.loads((witness.root / "reports" / "metrics.json").read_text())["value"] == 0.125
    assert "up to date" in witness.dvc("status").stdout
    witness.thaw("restore", "--undo", "--yes")
    assert contents(witness) == before

    again = witness.thaw("run", "--no-apply", "-S", "evaluate.threshold=7", check=False)
    assert again.returncode == 2 and "evaluate.threshold" in again.stderr
    assert contents(witness) == before
