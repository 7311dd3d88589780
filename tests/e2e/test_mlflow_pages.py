"""What a person sees in MLflow's pages, in a browser: the result, what was changed, and names, without a scroll or a click.

Real runs of a project of small stages, a real MLflow server of the locked version, headless Chromium.
"""

import os
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.code.browser import CHROMIUM, Page, browsing
from tests.e2e.witness import GRAPH, Witness, make_witness, start_flow
from thaw.addresses import free_port
from thaw.processes import start_supervised
from thaw.tracking.address import tracking_uri
from thaw.tracking.links import comparison_page, run_page, runs_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")

VALIDATE = '''\
import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outputs:
    manifest_path: Path
    findings_path: Path


def validate(params, outputs: Outputs):
    """Find one thing wrong, and draw the page that says so."""
    outputs.manifest_path.write_text("{}")
    totals = {"images": 6, "fit": 5, "classes": {}}
    counts = {"block": 0, "quarantine": 1, "warn": 0}
    outputs.findings_path.write_text(json.dumps({"totals": totals, "severities": counts, "checks": {"duplicate": 1}}))
    outputs.findings_path.with_name("gate.html").write_text("<p>one duplicate</p>")
'''
EVALUATE = '''\
import json
from dataclasses import dataclass
from pathlib import Path
from PIL import Image


@dataclass(frozen=True)
class Outputs:
    metrics_path: Path
    pictures_dir: Path


def evaluate(params, outputs: Outputs):
    """A result that goes with the threshold."""
    accuracy = 1 - params.threshold / 5
    interval = {"accuracy": {"low": accuracy - 0.02, "high": accuracy + 0.02}}
    slices = {"type": {"mono": {"accuracy": 0.5, "interval": {"accuracy": {"low": 0.4, "high": 0.6}}}}}
    metrics = {"images": 200, "accuracy": accuracy, "f1": 0.5, "interval": interval, "slices": slices}
    outputs.metrics_path.write_text(json.dumps(metrics))
    outputs.pictures_dir.mkdir()
    Image.new("RGB", (64, 64), (int(250 * accuracy), 0, 0)).save(outputs.pictures_dir / "confusion.png")
'''


def set_params(project: Witness, learning_rate: str, threshold: float) -> None:
    path = project.root / "params.yaml"
    head, tail = path.read_text().split("\nfine_tune:\n")
    tail = re.sub(r"  learning_rate: \S+", f"  learning_rate: {learning_rate}", tail, count=1)
    path.write_text(f"{head}\nfine_tune:\n{tail}")
    project.set_param("evaluate", threshold)


def make_run(project: Witness) -> None:
    process = start_flow(project)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Witness:
    """Three runs: the second is worse than the first, and the third is the first again, from DVC's cache."""
    project = make_witness(tmp_path_factory.mktemp("pages") / "projekt")
    stages = project.root / "src" / "thaw" / "stages"
    (stages / "validate.py").write_text(VALIDATE)
    (stages / "evaluate.py").write_text(EVALUATE)
    graph = GRAPH.replace("outs: [data/manifest.json]", "outs: [data/manifest.json, reports/findings.json]")
    graph = graph.replace("    params: [evaluate]\n", "    params: [evaluate]\n    outs: [reports/pictures]\n")
    (project.root / "dvc.yaml").write_text(graph)
    (project.root / "reports").mkdir()
    for learning_rate, threshold in (("0.0005", 0.5), ("0.000005", 0.6), ("0.0005", 0.5)):
        set_params(project, learning_rate, threshold)
        make_run(project)
    return project


@pytest.fixture(scope="module")
def base(project: Witness) -> Iterator[str]:
    """The address of an MLflow server."""
    port = free_port("127.0.0.1", 5400)
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    environment = {**project.environment(), "MLFLOW_BACKEND_STORE_URI": tracking_uri(project.root)}
    environment |= {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = (project.root / ".thaw" / "server.txt").open("wb")
    process = start_supervised(command, environment, log)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("browser")) as page:
        yield page


def picture(page: Page, name: str) -> None:
    """Keep what the page looks like, for those who want to look: THAW_PICTURES names a folder."""
    if folder := os.environ.get("THAW_PICTURES"):
        page.settle(2)
        page.picture(Path(folder) / f"{name}.png")


def see(page: Page, *texts: str) -> None:
    for text in texts:
        page.wait(f"document.body.innerText.includes({text!r})")
    for text in texts:
        deadline = time.monotonic() + 20
        while not page.in_view(text):
            assert time.monotonic() < deadline, f"{text} is not in view:\n{page.text()}"
            page.settle(0.2)


def experiment_of(project: Witness) -> str:
    from thaw.tracking.links import known_experiment

    return known_experiment(project.root)


def test_the_table_of_runs_shows_result_change_and_names(project: Witness, base: str, page: Page) -> None:
    page.open(runs_page(base, experiment_of(project)))
    see(page, "0.900 lite0 lr=5e-4 epochs=9", "0.880 threshold=0.6 lr=5e-6")
    see(page, "test/accuracy", "0.88", "evaluate.threshold", "5e-06")
    picture(page, "table")
    assert page.beyond_loopback() == []


def test_a_runs_page_is_headed_by_the_result_and_what_was_changed(project: Witness, base: str, page: Page) -> None:
    second = project.runs()[1]
    page.open(run_page(base, experiment_of(project), second["run_id"]))
    see(page, "0.880 threshold=0.6 lr=5e-6")
    picture(page, "run-fresh")
    # In a fresh browser MLflow's assistant takes the room beside the description, which then stands below the tags.
    see(page, "MLflow Assistant", "Test accuracy 0.880", "0.020 lower than the run before (run 1)")
    see(page, "Changed:", "fine_tune.learning_rate", "thaw.number", "project")
    assert not any(name in page.text() for name in ("machine.cpu", "stage.split", "dvc.lock", "prefect.flow"))
    assert page.beyond_loopback() == []


def test_the_comparison_shows_names_and_what_differs(project: Witness, base: str, page: Page) -> None:
    page.open(comparison_page(base, experiment_of(project)))
    see(page, "0.880 threshold=0.6", "0.900 threshold=0.5", "evaluate.threshold", "5e-06", "test/accuracy")
    picture(page, "differences")
    assert "fine_tune.epochs" not in page.text(), "what is the same is not in the way"
    ids = [run["run_id"] for run in project.runs()[1:]]
    runs, experiment = ",".join(f"%22{run_id}%22" for run_id in ids), experiment_of(project)
    page.open(f"{base}/#/compare-runs?runs=[{runs}]&experiments=[%22{experiment}%22]&workflowType=machine_learning")
    # Its tables are below the fold: MLflow begins with a chart.
    for text in ("0.880 threshold=0.6 lr=5e-6", "0.900 lite0", "fine_tune.learning_rate", "test/accuracy"):
        page.wait(f"document.body.innerText.includes({text!r})")
    picture(page, "compare")
    assert page.beyond_loopback() == []


def test_a_run_from_the_cache_has_all_that_the_first_has(project: Witness) -> None:
    from thaw.tracking.store import Store

    third, second, first = project.runs()
    assert project.outcomes(third) == {"validate": "unchanged", "split": "unchanged", "evaluate": "restored"}
    own = [run["metrics"] for run in (first, second, third)]
    assert own[0] == own[2] and own[0].keys() == own[1].keys()
    assert own[0]["test/accuracy_low"] == 0.88 and own[0]["validate/quarantine"] == 1
    store = Store(project.root)
    for run in (first, second, third):
        files = {item.path for item in store.client.list_artifacts(run["run_id"]) if not item.is_dir}
        assert files == {"confusion.png", "gate.html"}
        assert not [name for name in run["params"] if name.startswith("validate.")]


def test_another_view_stays(project: Witness) -> None:
    from thaw.tracking.store import Store
    from thaw.tracking.view import VIEW_TAG

    client, experiment_id = Store(project.root).client, experiment_of(project)
    client.set_experiment_tag(experiment_id, "mlflow.sharedViewState.other", "mine")
    before = client.get_experiment(experiment_id).tags
    make_run(project)
    after = client.get_experiment(experiment_id).tags
    assert after["mlflow.sharedViewState.other"] == "mine"
    assert after[VIEW_TAG] == before[VIEW_TAG], "written only where it changed"
