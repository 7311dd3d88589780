"""The whole pipeline, as a user runs it: real Prefect, DVC, MLflow, images and weights. The tests build on each other."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, Project

STAGES = ["validate", "split", "augment", "extract", "train_frozen", "audit", "fine_tune", "evaluate", "report"]


def overrides(*assignments: str) -> list[str]:
    return [part for assignment in assignments for part in ("-S", assignment)]


def test_a_first_run_runs_every_stage_and_records_it(project: Project) -> None:
    done = project.thaw("run", "--json", *overrides(*SMALL))
    result = json.loads(done.stdout)
    assert 0.4 < result["metrics"]["accuracy"] <= 1
    (run,) = project.runs()
    assert run["run_id"] == result["run_id"]
    assert run["status"] == "FINISHED"
    assert project.outcomes(run) == dict.fromkeys(STAGES, "ran")
    assert run["metrics"]["test/accuracy"] == result["metrics"]["accuracy"]
    assert run["params"]["augment.image_size"] == "96"
    assert run["tags"]["data.data/raw"].endswith(".dir")
    assert (project.root / "reports" / "pictures" / "learning_curves.png").stat().st_size > 5_000
    page = page_of(project, 1)
    assert f"{100 * result['metrics']['accuracy']:.1f}\u00a0%" in page and "целый" in page and "the run before" not in page


def test_mlflow_holds_children_curves_and_a_model(project: Project) -> None:
    from thaw.tracking.store import Store

    store = Store(project.root)
    run_id = project.runs()[0]["run_id"]
    children = store.client.search_runs([store.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert sorted(child.info.run_name for child in children) == sorted(STAGES)
    steps = [metric.step for metric in store.client.get_metric_history(run_id, "train/loss")]
    assert steps == [1, 2, 3, 4, 5], "three epochs frozen and two thawed, on one axis"
    model_dir = store.download_model(run_id, project.root / ".thaw" / "test-model")
    trained_dir = project.root / "models" / "fine_tuned"
    assert sha256(model_dir / "model.weights.h5") == sha256(trained_dir / "model.weights.h5")


def test_cross_validation_is_a_run_of_its_own_that_leaves_the_project_as_it_is(project: Project) -> None:
    from thaw.tracking.store import Store

    result = json.loads(project.thaw("cross-validate", "--folds", "3", "--repeats", "2", "--json").stdout)
    assert len(result["per_fold"]) == 6 and {row["images"] for row in result["per_fold"]} == {24}
    store = Store(project.root)
    (run,) = store.client.search_runs([store.experiment_id], "tags.`thaw.run` = 'cross-validation'")
    children = store.client.search_runs([store.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert run.info.status == "FINISHED" and run.data.metrics["held_out/accuracy"] == result["accuracy"]["mean"]
    assert sorted(child.data.metrics["held_out/accuracy"] for child in children) == pytest.approx(
        sorted(row["accuracy"] for row in result["per_fold"]), abs=1e-6
    )
    assert [other["number"] for other in project.runs()] == [1], "it takes no number of the pipeline's runs"


def test_a_search_and_seeds_of_heads_are_runs_that_leave_the_project_as_it_is(project: Project) -> None:
    from thaw.tracking.store import Store

    before = {name: sha256(project.root / name) for name in ("params.yaml", "dvc.lock")}
    told = json.loads(project.thaw("search", "--trials", "3", "--folds", "3", "--json").stdout)
    assert [trial["number"] for trial in told["trials"]] == [0, 1, 2, 3]
    assert told["run"].startswith("thaw run -S ") == (told["best"] > 0)
    seeds = json.loads(project.thaw("seeds", "--n", "3", "--heads", "--folds", "3", "--json").stdout)
    assert list(seeds["seeds"]) == ["1", "2", "3"] and seeds["spread"]["log_loss"]["deviation"] > 0
    store = Store(project.root)
    for kind, children in (("search", 4), ("seeds", 3)):
        run = store.client.search_runs([store.experiment_id], f"tags.`thaw.run` = '{kind}'")[0]
        found = store.client.search_runs([store.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
        assert run.info.status == "FINISHED" and len(found) == children
        assert all(0 < child.data.metrics["held_out/accuracy"] <= 1 for child in found)
    assert {name: sha256(project.root / name) for name in before} == before
    assert [other["number"] for other in project.runs()] == [1]


@pytest.mark.slow
def test_whole_trainings_are_searched_and_go_on_where_they_were_killed(project: Project) -> None:
    (project.root / "search.yaml").write_text("fine_tune: {learning_rate: {low: 0.0001, high: 0.01, log: true}}")
    command = [sys.executable, "-m", "thaw", "search", "--trials", "1", "--folds", "2", "--json"]
    killed = subprocess.Popen(command, cwd=project.root, env=project.environment())
    deadline, journals = time.monotonic() + 300, project.root / ".thaw" / "search"
    while not [line for path in journals.glob("*.jsonl") for line in path.read_text().splitlines() if '"sets": {}' in line]:
        assert killed.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    killed.kill()
    killed.wait()
    told = json.loads(project.run(*command).stdout)
    (project.root / "search.yaml").unlink()
    assert [trial["folds"] for trial in told["trials"]] == [2, 2] and not told["heads"]
    assert list(told["trials"][1]["overrides"]) == ["fine_tune.learning_rate"]
    assert not [path for path in (journals / "work").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_whole_trainings_on_folds_go_on_where_they_were_killed(project: Project) -> None:
    command = [sys.executable, "-m", "thaw", "cross-validate", "--folds", "2", "--fine-tune", "--json"]
    work_dir = project.root / ".thaw" / "cross-validate"

    def begin_and_await(stage: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(command, cwd=project.root, env=project.environment(), stdout=subprocess.PIPE, text=True)
        while process.poll() is None and not list(work_dir.rglob(f"{stage}.done")):
            time.sleep(0.1)
        return process

    killed = begin_and_await("extract")
    killed.kill()
    killed.communicate()
    (features,) = work_dir.rglob("features/train.npy")
    extracted_at = features.stat().st_mtime_ns
    went_on = begin_and_await("train_frozen")
    try:
        assert features.stat().st_mtime_ns == extracted_at, "a stage that was done is not done again"
        result = json.loads(went_on.communicate()[0])
    finally:
        went_on.kill()
    assert [row["images"] for row in result["per_fold"]] == [36, 36] and result["whole_trainings"]
    assert not [path for path in work_dir.rglob("*") if path.is_file()]


def test_dvc_agrees_that_nothing_is_left_to_do(project: Project) -> None:
    before = sha256(project.root / "dvc.lock")
    assert "up to date" in project.dvc("status").stdout
    assert "Running stage" not in project.dvc("repro").stdout
    assert sha256(project.root / "dvc.lock") == before


def test_dvc_shows_a_few_metrics_by_their_names(project: Project) -> None:
    (shown,) = json.loads(project.dvc("metrics", "show", "--json").stdout)[""]["data"].values()
    names = {"accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "roc_auc", "log_loss", "images"}
    assert set(shown["data"]) == names
    assert shown["data"]["accuracy"] == project.runs()[0]["metrics"]["test/accuracy"]


def test_dvc_repro_force_gives_the_same_bytes(project: Project) -> None:
    before = sha256(project.root / "dvc.lock")
    project.dvc("repro", "--force", "--no-run-cache")
    assert sha256(project.root / "dvc.lock") == before


def test_a_changed_rate_runs_what_depends_on_it_only(project: Project) -> None:
    project.thaw("run", *overrides("fine_tune.learning_rate=5e-6"))
    run = project.runs()[0]
    ran = [name for name, outcome in project.outcomes(run).items() if outcome == "ran"]
    assert ran == ["fine_tune", "evaluate", "report"]
    assert run["params"]["fine_tune.learning_rate"] == "5e-06"
    page = page_of(project, run["number"])
    assert "<code>5e-06</code>" in page and "the run before" in page
    assert "Run again with these parameters" not in page, "nothing is deployed"


def test_going_back_restores_instead_of_training(project: Project) -> None:
    original = project.runs()[1]["params"]["fine_tune.learning_rate"]
    project.thaw("run", *overrides(f"fine_tune.learning_rate={original}"))
    outcomes = project.outcomes(project.runs()[0])
    assert [outcomes[name] for name in ("fine_tune", "evaluate", "report")] == ["restored"] * 3
    own = page_of(project, project.runs()[0]["number"])
    first = project.runs()[-1]
    project.thaw("restore", str(first["number"]), "--yes")
    assert first["run_id"] in page_of(project, first["number"]), "a run's own page comes back with it"
    project.thaw("restore", "--undo", "--yes")
    assert page_of(project, project.runs()[0]["number"]) == own


def description(project: Project, run_id: str) -> str:
    """What MLflow's page of a run is headed by."""
    from thaw.tracking.store import Store

    return str(Store(project.root).client.get_run(run_id).data.tags["mlflow.note.content"])


def prefect_messages(project: Project) -> set[str]:
    """What Prefect's server says of the flows and tasks that failed."""
    with sqlite3.connect(f"file:{project.root}/.prefect/prefect.db?mode=ro", uri=True) as database:
        query = "SELECT message FROM {0}_state WHERE type = 'FAILED'"
        return {message for kind in ("flow_run", "task_run") for (message,) in database.execute(query.format(kind))}


def test_a_hidden_folder_stops_the_run_before_it_trains(project: Project) -> None:
    raw_dir = project.root / "data" / "raw"
    hidden = raw_dir / "défaut" / ".ipynb_checkpoints" / "x.png"
    hidden.parent.mkdir()
    shutil.copyfile(next((raw_dir / "défaut").glob("*.png")), hidden)
    version = (project.root / "data" / "raw.dvc").read_bytes()
    done = project.thaw("run", check=False)
    assert done.returncode == 2
    said = "Blocked: 1 hidden folder with 1 file: défaut/.ipynb_checkpoints/. Cure: thaw clean --apply"
    assert (done.stdout + done.stderr).count(said) == 1 and f"error: {said}\n" in done.stderr, "a refusal is said once"
    checked = project.thaw("validate", "data/raw", check=False, COLUMNS="400").stdout
    assert "Blocked: 1 hidden folder with 1 file: défaut/.ipynb_checkpoints/. Cure: thaw clean data/raw --apply" in checked
    assert "Traceback" not in done.stdout + done.stderr
    run = project.runs()[0]
    assert run["status"] == "FAILED" and run["tags"]["failure"] == said
    told = description(project, run["run_id"])
    assert told.split("  \n")[0] == f"**Failed in `validate`:** `{said}`" and "data/raw" not in told
    assert f"{run['number']} failed: {said}\n" in project.thaw("runs", COLUMNS="400").stdout
    assert prefect_messages(project) == {said}
    assert "stage.fine_tune" not in run["tags"]
    assert (project.root / "data" / "raw.dvc").read_bytes() == version
    shutil.rmtree(hidden.parent)
    project.thaw("run")
    assert project.runs()[0]["status"] == "FINISHED", "with the file gone, what the refused run left is no hindrance"


def test_new_images_are_a_new_version(project: Project) -> None:
    raw_dir = project.root / "data" / "raw"
    from PIL import Image

    with Image.open(next((raw_dir / "défaut").glob("*.png"))) as image:
        image.rotate(45).save(raw_dir / "défaut" / "neu.png")
    refused = project.thaw("run", check=False)
    assert refused.returncode == 2 and "défaut/neu.png" in refused.stdout + refused.stderr, "no probability for it"
    with (raw_dir / "metadata.csv").open("a", encoding="utf-8") as file:
        file.write("défaut/neu.png,1.0,mono\n")
    project.thaw("run")
    newest, *older = project.runs()
    assert newest["status"] == "FINISHED"
    assert newest["tags"]["data.data/raw"] != older[-1]["tags"]["data.data/raw"]


def test_runs_are_listed_newest_first(project: Project) -> None:
    assert all(newer["start_ms"] >= older["start_ms"] for newer, older in pairwise(project.runs()))


def test_nothing_to_do_makes_no_run(project: Project) -> None:
    project.thaw("run")
    before = project.runs()
    done = project.thaw("run")
    assert "Nothing to do" in done.stdout
    assert project.runs() == before


def test_forced_stages_find_tensorflow_loaded(project: Project) -> None:
    done = project.thaw("run", "--only", "evaluate", "--only", "report", "--force")
    assert "evaluate took" in done.stderr + done.stdout
    assert "oneDNN" not in done.stderr + done.stdout, "the notices of a process that loads TensorFlow itself"


def test_a_missing_data_folder_is_one_message(project: Project) -> None:
    raw_dir = project.root / "data" / "raw"
    raw_dir.rename(project.root / "data" / "away")
    try:
        done = project.thaw("run", check=False)
    finally:
        (project.root / "data" / "away").rename(raw_dir)
    assert done.returncode == 2
    assert "data/raw: stage validate needs it" in done.stderr and "thaw data add" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Nothing to do" in project.thaw("run").stdout, "nothing was lost"


def test_wrong_parameters_are_refused_at_once(project: Project) -> None:
    done = project.thaw("run", *overrides("fine_tune.learnin_rate=1"), check=False)
    assert done.returncode == 2
    assert "fine_tune.learning_rate" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def page_of(project: Project, number: int) -> str:
    """The page that people open, which is that of run `number` and the one at the root of its artifacts."""
    from thaw.tracking.store import Store

    page = (project.root / "reports" / "index.html").read_text(encoding="utf-8")
    assert f"<h2>Run {number}: " in page
    store = Store(project.root)
    (run,) = [run for run in store.pipeline_runs() if run["number"] == number]
    with tempfile.TemporaryDirectory() as folder:
        logged = store.download_file(run["run_id"], "report.html", Path(folder))
        assert logged and logged.read_text(encoding="utf-8") == page
    return page


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
