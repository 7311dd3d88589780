"""Models, experiments of DVC, and projects that share one server: on real stores and a real DVC."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow.models import Model
from PIL import Image
from typer.testing import CliRunner

from thaw.cli import app
from thaw.cli.predict import download_model
from thaw.errors import ThawError
from thaw.files import digest
from thaw.project import project_name
from thaw.tracking.outbox import Outbox, create_outbox
from thaw.tracking.recording import StageFacts, record_stage
from thaw.tracking.shipper import Shipper
from thaw.tracking.store import Store
from thaw.versioning import StageSpec

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projekt")


@pytest.fixture(scope="module")
def store(home: Path) -> Store:
    return Store(home)


def make_model(root: Path, content: bytes = b"weights") -> Path:
    model_dir = root / "models" / "evaluated"
    model_dir.mkdir(parents=True, exist_ok=True)
    (model_dir / "model.weights.h5").write_bytes(content)
    described = {"input_shape": [8, 8, 3], "classes": ["a", "b"], "weights_sha256": digest(model_dir / "model.weights.h5")}
    (model_dir / "model.json").write_text(json.dumps(described))
    return model_dir


def judge(home: Path, root: Path, version: str, outcome: str = "ran") -> Outbox:
    """A run in which `fine_tune` and `evaluate` are recorded; its outbox, shipped."""
    model_dir = make_model(root, version.encode())
    metrics = root / "metrics.json"
    metrics.write_text('{"accuracy": 0.75}')
    trained = StageSpec("fine_tune", {}, {"fine_tuned_dir": model_dir}, (), (), (), ())
    outputs = {"metrics_path": metrics, "evaluated_dir": model_dir}
    judged = StageSpec("evaluate", {"fine_tuned_dir": model_dir}, outputs, (), (), (metrics,), ())
    outbox = create_outbox(home)
    outbox.open_run("pipeline", "judged")
    hashes = {"models/evaluated": version}
    record_stage(outbox, StageFacts(trained, outcome, 0, hashes), "thaw")
    assert "model" not in [event["op"] for _, event in outbox.events()], "not before it is judged"
    record_stage(outbox, StageFacts(judged, outcome, 0, hashes), "thaw")
    outbox.close_run("pipeline")
    outbox.finish()
    Shipper(outbox, Store(home)).ship()
    assert outbox.refused() == []
    return outbox


def test_a_model_is_registered_once_and_only_when_judged(home: Path, store: Store, tmp_path: Path) -> None:
    judge(home, tmp_path, "aaa.dir")
    judge(home, tmp_path, "aaa.dir", "restored")
    judge(home, tmp_path, "bbb.dir")
    versions = store.client.search_model_versions("name = 'thaw'")
    assert sorted(version.tags["dvc.version"] for version in versions) == ["aaa.dir", "bbb.dir"]
    assert {version.tags["test.accuracy"] for version in versions} == {"0.75"}


def test_a_model_tells_its_classes(home: Path, store: Store, tmp_path: Path) -> None:
    run_id = judge(home, tmp_path, "fff.dir").run_ids()["pipeline"]
    (model,) = store.client.search_logged_models([store.experiment_id], f"source_run_id = '{run_id}'")
    assert model.params == {"classes": "a, b", "threshold": "0.5"}
    described = Model.load(model.artifact_location.removeprefix("file://"))
    assert described.metadata == {"classes": ["a", "b"], "threshold": 0.5}
    assert [column.name for column in described.signature.outputs.inputs] == ["predicted", "probabilities"]


def test_a_cached_trainings_model_is_found_in_the_run_that_made_it(home: Path, store: Store, tmp_path: Path) -> None:
    first = judge(home, tmp_path, "ccc.dir")
    restored = judge(home, tmp_path, "ccc.dir", "restored")
    for outbox in (first, restored):
        run_id = outbox.run_ids()["pipeline"]
        model_dir = download_model(home, run_id[:12])
        assert (model_dir / "model.weights.h5").read_bytes() == b"ccc.dir"
        assert model_dir == home / ".thaw" / "predict" / run_id


def test_a_download_that_came_damaged_is_not_kept(home: Path, store: Store, tmp_path: Path) -> None:
    run_id = judge(home, tmp_path, "ddd.dir").run_ids()["pipeline"]
    (kept,) = [path for path in (home / "mlruns").rglob("model.weights.h5") if path.read_bytes() == b"ddd.dir"]
    kept.write_bytes(b"dd")
    with pytest.raises(ThawError, match="came damaged"):
        download_model(home, run_id)
    kept.write_bytes(b"ddd.dir")
    assert (download_model(home, run_id) / "model.weights.h5").read_bytes() == b"ddd.dir"


def test_a_kept_model_that_is_not_whole_is_fetched_again(home: Path, store: Store, tmp_path: Path) -> None:
    run_id = judge(home, tmp_path, "eee.dir").run_ids()["pipeline"]
    model_dir = download_model(home, run_id)
    described = (model_dir / "model.json").read_bytes()
    cut = [("model.weights.h5", b"ee"), ("model.weights.h5", None), ("model.json", described[:-9]), ("model.json", b"")]
    for name, content in cut:
        path = model_dir / name
        path.unlink() if content is None else path.write_bytes(content)
        assert download_model(home, run_id) == model_dir
        assert (model_dir / "model.weights.h5").read_bytes() == b"eee.dir"
        assert (model_dir / "model.json").read_bytes() == described
    assert [path.name for path in model_dir.parent.iterdir() if path.name.startswith(".")] == []


def test_a_prefix_of_several_runs_is_refused_with_their_ids(home: Path, store: Store) -> None:
    ids = [store.client.create_run(store.experiment_id).info.run_id for _ in range(17)]
    prefix = next(sign for sign in "0123456789abcdef" if sum(run_id[0] == sign for run_id in ids) > 1)
    (home / ".thaw" / "predict" / prefix).mkdir(parents=True, exist_ok=True)
    (home / ".thaw" / "predict" / prefix / "model.json").write_text("{}")
    with pytest.raises(ThawError, match="runs have an id that begins with") as refused:
        download_model(home, prefix)
    assert next(run_id for run_id in ids if run_id[0] == prefix) in refused.value.reason


def test_a_project_keeps_its_name_when_moved_and_a_copy_gets_one(tmp_path: Path) -> None:
    home = tmp_path / "Zellen ü"
    home.mkdir()
    name = project_name(home)
    assert name.startswith("Zellen-ü-") and project_name(home) == name
    copy = shutil.copytree(home, tmp_path / "copy")
    assert project_name(copy).startswith("copy-")
    moved = home.rename(tmp_path / "moved")
    assert project_name(moved) == name


def test_projects_on_one_server_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared.db")
    homes = [tmp_path / name for name in ("one", "two")]
    stores = []
    for home in homes:
        home.mkdir()
        outbox = create_outbox(home)
        outbox.open_run("pipeline", home.name)
        stores.append(Store(home))
        Shipper(outbox, stores[-1]).ship()
    assert [[run["name"] for run in store.pipeline_runs(9)] for store in stores] == [["one"], ["two"]]
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "cells")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path}/registry.db")
    named = Store(homes[0])
    assert named.client.get_experiment(named.experiment_id).name == "cells"
    assert named.client._registry_uri == f"sqlite:///{tmp_path}/registry.db"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose graph is `validate` and `split`, with 60 pictures under DVC."""
    root = tmp_path_factory.mktemp("dvc") / "projekt å"
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
    head = (ROOT / "dvc.yaml").read_text().split("  augment:\n")[0]
    (root / "dvc.yaml").write_text(head)
    (root / "data" / "contract").mkdir(parents=True)
    (root / "data" / "contract" / ".gitkeep").touch()
    (root / ".gitignore").write_text("/.thaw\n/mlruns\n/data/splits\n/data/manifest.parquet\n/reports\n")
    for number in range(60):
        path = root / "data" / "raw" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.frombuffer(hashlib.shake_128(str(number).encode()).digest(64 * 64), np.uint8)
        Image.fromarray(noise.reshape(64, 64)).save(path)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "add", "-q", "data/raw"], ["git", "add", "-A"],
                    ["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start"]):  # fmt: skip
        run(root, *command)
    return root


def run(root: Path, *command: str) -> str:
    if command[0] != "git":
        command = (sys.executable, "-m", *command)
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "DVC_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**own, "PATH": path, "PYTHONPATH": str(root / "src"), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow  # tests/e2e/test_own_results.py and test_experiments.py hold the same of smaller stages
def test_the_stages_of_one_dvc_command_are_children_of_one_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(project, "dvc", "repro")
    run(project, "dvc", "exp", "run", "-n", "wider", "-S", "split.test_fraction=0.3")
    store = Store(project)
    experiment, repro = store.pipeline_runs(9)
    assert (experiment["name"], repro["name"]) == ("wider", "dvc repro")
    assert experiment["status"] == repro["status"] == "FINISHED"
    assert experiment["tags"]["dvc.experiment"] == "wider"
    assert (repro["tags"]["stage.validate"], repro["tags"]["stage.split"]) == ("ran", "ran")
    assert experiment["tags"]["stage.split"] == "ran" and "stage.validate" not in experiment["tags"]
    assert (repro["params"]["split.test_fraction"], experiment["params"]["split.test_fraction"]) == ("0.25", "0.3")
    assert repro["metrics"]["validate/warn"] >= 0
    assert repro["tags"]["data.data/raw"].endswith(".dir")
    lock = (project / "dvc.lock").read_text()
    assert experiment["tags"]["dvc.data/splits/train.csv"] in lock, "the hash is the one that DVC books"
    children = store.client.search_runs([store.experiment_id], f"tags.`mlflow.parentRunId` = '{repro['run_id']}'")
    assert sorted(child.info.run_name for child in children) == ["split", "validate"]
    monkeypatch.chdir(project)
    shown = CliRunner().invoke(app, ["runs"]).stdout.splitlines()
    assert "test_fraction" in "".join(shown[:2])
    assert [line.split()[-1] for line in shown[-2:]] == ["0.3", "0.25"]
    assert max(map(len, shown)) <= 80
