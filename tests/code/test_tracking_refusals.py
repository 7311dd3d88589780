"""What MLflow refuses, stores that go away and come back, projects that move: on real stores, with real processes."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thaw.cli import app
from thaw.tracking.names import valid_key
from thaw.tracking.outbox import Outbox, create_outbox, find_unfinished
from thaw.tracking.shipment import Shipment
from thaw.tracking.shipper import Shipper
from thaw.tracking.shipping import ship_leftovers
from thaw.tracking.store import Store


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("template") / "home"
    Store(home)
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A project with an empty store of its own."""
    home = shutil.copytree(template, tmp_path / "projekt å")
    (home / "dvc.yaml").write_text("stages: {}\n")
    return home


def lay_out(home: Path, *, finished: bool = True) -> Outbox:
    outbox = create_outbox(home)
    outbox.open_run("pipeline", "run", fingerprint="f")
    outbox.log_metrics("pipeline", {"loss": 1.0}, step=1)
    if finished:
        outbox.close_run("pipeline")
        outbox.finish()
    return outbox


def append(outbox: Outbox, **event: object) -> None:
    """An event that no method of the outbox would write."""
    with outbox.events_path.open("a") as file:
        file.write(json.dumps({"time": 1, **event}) + "\n")


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


AWKWARD = ["set#1", "a//b", "/a", "../a", "a/../b", "..", ".", "", "C#", "C+", "ø/ß", "x" * 300, "a\nb", "..a", "a/", "\udce4"]


def test_any_name_is_taken_and_no_two_become_one(home: Path) -> None:
    outbox = create_outbox(home)
    named = dict.fromkeys(AWKWARD, 1.0)
    outbox.open_run("pipeline", "n" * 300, tags=dict.fromkeys(AWKWARD, "t" * 9000), params=dict.fromkeys(AWKWARD, "p" * 9000))
    outbox.log_metrics("pipeline", named)
    outbox.log_tags("pipeline", dict.fromkeys(AWKWARD, "\udce4"))
    outbox.close_run("pipeline")
    outbox.finish()
    store = Store(home)
    Shipper(outbox, store).ship()
    assert outbox.refused() == []
    run = store.client.get_run(outbox.run_ids()["pipeline"])
    assert len(run.data.metrics) == len(run.data.params) == len(AWKWARD)
    assert valid_key("test_slices/typ å.n") == "test_slices/typ å.n"


def test_a_refused_event_is_set_aside_and_shipping_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = lay_out(home, finished=False)
    append(outbox, op="metrics", run="pipeline", values={"set#1": 1.0}, step=0)
    append(outbox, op="metrics", run="pipeline", values={"bad#": 1.0}, step=1)
    append(outbox, op="file", run="pipeline", path="files/none.txt", folder="")
    append(outbox, op="tags", run="never opened", tags={})
    outbox.log_metrics("pipeline", {"loss": 0.5}, step=2)
    outbox.close_run("pipeline")
    outbox.finish()
    shipment = Shipment(home)
    shipment.begin(outbox)
    assert shipment.wait(90) == "MLflow refused 4 events: `thaw sync` shows them"
    store = Store(home)
    run_id = outbox.run_ids()["pipeline"]
    assert [metric.step for metric in store.client.get_metric_history(run_id, "loss")] == [1, 2]
    assert store.client.get_run(run_id).info.status == "FINISHED"
    monkeypatch.chdir(home)
    shown = CliRunner().invoke(app, ["sync", "--json"])
    assert shown.exit_code == 0
    (standing,) = json.loads(shown.stdout)
    assert [item["event"]["op"] for item in standing["refused"]] == ["metrics", "metrics", "file", "tags"]
    assert "set#1" in standing["refused"][0]["reason"]


def test_sync_ships_what_is_left_and_says_why_where_it_cannot(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = lay_out(home)
    monkeypatch.chdir(home)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    done = CliRunner().invoke(app, ["sync"])
    assert done.exit_code == 1
    assert "4 events left: tracking is down" in done.stdout
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    done = CliRunner().invoke(app, ["sync"])
    assert (done.exit_code, done.stdout.strip()) == (0, "All is in MLflow.")
    assert outbox.is_shipped()


def test_an_outbox_goes_to_no_other_store(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = lay_out(home, finished=False)
    Shipper(outbox, Store(home)).ship()
    outbox.log_metrics("pipeline", {"loss": 0.5}, step=2)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    other = Store(home)
    ship_leftovers(home, other)
    assert outbox.left() == 1
    assert other.client.search_runs([other.experiment_id]) == []
    assert find_unfinished(home, "pipeline", "f") is None
    monkeypatch.chdir(home)
    assert "another tracking store" in CliRunner().invoke(app, ["sync"]).stdout
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert find_unfinished(home, "pipeline", "f") is not None


def test_a_store_made_anew_gets_all_of_an_unfinished_outbox(home: Path) -> None:
    outbox = lay_out(home, finished=False)
    store = Store(home)
    Shipper(outbox, store).ship()
    outbox.log_metrics("pipeline", {"loss": 0.5}, step=2)
    outbox.close_run("pipeline")
    outbox.finish()
    store.stop_monitor(outbox.run_ids()["pipeline"])  # of a process that is gone: it would make the database, too
    shutil.rmtree(home / "mlruns")
    imports = "import sys; from pathlib import Path; from thaw.tracking.sync import sync"
    code = f"{imports}; left = sync(Path(sys.argv[1])); assert not left, left"
    run_python(code, home)
    assert outbox.is_shipped()
    history = json.loads(run_python(HISTORY, home, outbox.run_ids()["pipeline"]))
    assert history == ["FINISHED", [1, 2]]


HISTORY = (
    "import json, sys; from pathlib import Path; from thaw.tracking.store import Store; s = Store(Path(sys.argv[1]));"
    "print(json.dumps([s.client.get_run(sys.argv[2]).info.status,"
    " [m.step for m in s.client.get_metric_history(sys.argv[2], 'loss')]]))"
)


def run_python(code: str, *arguments: object) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_store_deleted_in_mid_run_gets_all_again(home: Path) -> None:
    outbox = lay_out(home, finished=False)
    shipment = Shipment(home)
    shipment.begin(outbox)
    wait_for(lambda: outbox.position_path.exists() and outbox.left() == 0)
    shutil.rmtree(home / "mlruns")
    outbox.log_metrics("pipeline", {"loss": 0.5}, step=2)
    outbox.close_run("pipeline")
    outbox.finish()
    assert shipment.wait(90) == ""
    assert json.loads(run_python(HISTORY, home, outbox.run_ids()["pipeline"])) == ["FINISHED", [1, 2]]


def test_deleted_runs_and_experiments_come_back(home: Path) -> None:
    outbox = lay_out(home, finished=False)
    store = Store(home)
    shipper = Shipper(outbox, store)
    shipper.ship()
    run_id = outbox.run_ids()["pipeline"]
    store.client.delete_run(run_id)
    outbox.log_metrics("pipeline", {"loss": 0.5}, step=2)
    shipper.ship()
    store.client.delete_experiment(store.experiment_id)
    outbox.log_metrics("pipeline", {"loss": 0.4}, step=3)
    shipper.ship()
    store.client.delete_experiment(store.experiment_id)
    assert Store(home).experiment_id == store.experiment_id
    outbox.close_run("pipeline")
    outbox.finish()
    shipper.ship()
    assert outbox.refused() == []
    assert [metric.step for metric in store.client.get_metric_history(run_id, "loss")] == [1, 2, 3]
    assert store.client.get_run(run_id).info.lifecycle_stage == "active"


def test_a_dead_shipper_is_started_again_or_told(home: Path) -> None:
    outbox = lay_out(home)
    shipment = Shipment(home)
    shipment._process.kill()
    shipment._process.wait()
    shipment.begin(outbox)
    assert shipment.wait(90) == ""
    assert outbox.is_shipped()
    again = lay_out(home)
    shipment = Shipment(home)
    shipment.begin(again)
    for _ in range(2):
        shipment._process.kill()
        shipment._process.wait()
        text = shipment.wait(1)
    assert f"ended with code {-signal.SIGKILL}, see .thaw/logs/shipper.txt" in text


def test_a_killed_runs_end_is_set_once(home: Path) -> None:
    outbox = lay_out(home, finished=False)
    died = 1_700_000_000
    os.utime(outbox.events_path, (died, died))
    store = Store(home)
    for _ in range(2):
        ship_leftovers(home, store)
        info = store.client.get_run(outbox.run_ids()["pipeline"]).info
        assert (info.status, info.end_time) == ("KILLED", died * 1000)
    found = find_unfinished(home, "pipeline", "f")
    assert found is not None and found.folder == outbox.folder
    found.open_run("pipeline", "run", fingerprint="f")
    Shipper(found, store).ship()
    assert store.client.get_run(outbox.run_ids()["pipeline"]).info.status == "RUNNING"


def test_a_run_whose_writer_lives_is_no_killed_one(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from thaw.tracking.outbox import create_outbox;"
        "box = create_outbox(Path(sys.argv[1])); box.open_run('pipeline', 'x', fingerprint='f');"
        "print('up', flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    writer = subprocess.Popen(
        [sys.executable, "-c", code, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert writer.stdout and writer.stdout.readline()
    assert find_unfinished(home, "pipeline", "f") is None
    writer.kill()
    writer.wait()
    assert find_unfinished(home, "pipeline", "f") is not None


def test_a_file_cut_short_is_no_kept_copy(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.txt"
    path.write_text("whole")
    outbox = lay_out(home)

    def copy_half(_source: Path, target: Path) -> None:
        target.write_text("wh")
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", copy_half)
        with pytest.raises(OSError, match="no room"):
            outbox.log_file("pipeline", path)
    outbox.log_file("pipeline", path)
    (kept,) = (outbox.folder / "files").rglob("f.txt")
    assert kept.read_text() == "whole"


NAMES = ["My%20Project", "what?", "a#b", "mit  Leerraum", "проект", "it's \"it\"", "x" * 200, "p%41"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_folder_may_have_any_name(template: Path, tmp_path: Path, name: str) -> None:
    home = shutil.copytree(template, tmp_path / name)
    outbox = lay_out(home)
    outbox.log_file("pipeline", Path(__file__), "a b")
    store = Store(home)
    Shipper(outbox, store).ship()
    kept = store.client.download_artifacts(outbox.run_ids()["pipeline"], f"a b/{Path(__file__).name}", str(tmp_path))
    assert Path(kept).read_bytes() == Path(__file__).read_bytes()
    assert list((home / "mlruns" / "artifacts" / outbox.run_ids()["pipeline"]).rglob(Path(__file__).name))
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] in ([name], [name, "a b"], ["a b", name])


def kept(home: Path, outbox: Outbox) -> Path:
    """Where the project's own store keeps this file for an outbox's run."""
    return home / "mlruns" / "artifacts" / outbox.run_ids()["pipeline"] / "artifacts" / Path(__file__).name


def places(home: Path) -> str:
    with sqlite3.connect(home / "mlruns" / "mlflow.db") as database:
        return "\n".join(database.iterdump())


def ship_a_file(home: Path) -> Outbox:
    outbox = lay_out(home)
    outbox.log_file("pipeline", Path(__file__))
    Shipper(outbox, Store(home)).ship()
    assert kept(home, outbox).exists()
    return outbox


def test_a_moved_project_writes_nothing_into_the_old_place(home: Path, tmp_path: Path) -> None:
    run_id = ship_a_file(home).run_ids()["pipeline"]
    assert home.as_uri() in places(home)
    moved = home.rename(tmp_path / "moved")
    found = Store(moved).client.download_artifacts(run_id, Path(__file__).name)
    assert Path(found).read_bytes() == Path(__file__).read_bytes()
    ship_a_file(moved)
    assert not home.exists()
    assert home.as_uri() not in places(moved)


def test_a_copy_writes_nothing_into_the_original(home: Path, tmp_path: Path) -> None:
    ship_a_file(home)
    copy = shutil.copytree(home, tmp_path / "copy")
    before = sorted(home.rglob("*"))
    ship_a_file(copy)
    assert sorted(home.rglob("*")) == before


def test_a_symlinked_root_is_the_same_place(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home, target_is_directory=True)
    first, second = Store(home), Store(link)
    assert (first.uri, first.store_id) == (second.uri, second.store_id)


def thaw(home: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "thaw", *arguments],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("kind", ["down", "schema"])
def test_runs_without_a_store_is_one_message(home: Path, tmp_path: Path, kind: str) -> None:
    if kind == "schema":
        with sqlite3.connect(home / "mlruns" / "mlflow.db") as database:
            database.execute("UPDATE alembic_version SET version_num = 'deadbeef'")
    uri = {"MLFLOW_TRACKING_URI": "http://me:geheim@127.0.0.1:9"} if kind == "down" else {}
    done = thaw(home, "runs", **uri)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "cure:" in done.stderr and "Traceback" not in done.stderr
    assert "geheim" not in done.stdout + done.stderr
