"""A Ray of two workers gives what this machine gives, whatever dies; and says what keeps it from working."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from tests.code.ray_nodes import ROOT, Node, start_head
from tests.data.dirty import clean_folder
from thaw.addresses import free_port
from thaw.augmentation.shards import write_views
from thaw.cli import app
from thaw.compute import Local, Portable, choose, open_executor, probe
from thaw.compute import cluster as engine
from thaw.compute.choosing import PLACE
from thaw.compute.cluster import Cluster
from thaw.errors import ThawError
from thaw.evaluation.inference import predict_files
from thaw.gate.inspection import bounds
from thaw.gate.scan.scanning import Scan
from thaw.gate.scan.walking import walk
from thaw.params import AugmentParams, ComputeParams
from thaw.params.gate import LimitParams

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nodes are watched by what Linux tells of processes")


@pytest.fixture(scope="module")
def head():
    with tempfile.TemporaryDirectory(prefix="thaw", ignore_cleanup_errors=True) as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        port = free_port("127.0.0.1", 6400 + os.getpid() % 1000)
        node = start_head(Path(home), port, 2)
        yield node, port
        node.kill()


@pytest.fixture(scope="module")
def cluster(head):
    with open_executor(ComputeParams(engine="ray", address=f"127.0.0.1:{head[1]}", max_in_flight=3)) as executor:
        yield executor


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return clean_folder(tmp_path_factory.mktemp("data") / "raw", images=8)


def scan(executor, root, seconds=10.0, after_first=lambda: None):
    """The rows of all files, by path."""
    files = [entry for entry in walk(root) if entry.kind == "file"]
    shards = [files[at : at + 4] for at in range(0, len(files), 4)]
    batches = []
    for batch in executor.map_isolated(Scan(root, bounds(LimitParams()), seconds), iter(shards)):
        batches.append(batch)
        if len(batches) == 1:
            after_first()
    return pa.Table.from_batches(batches).sort_by("path")


def kill_workers(head):
    workers = head.workers()
    assert workers
    for worker in workers:
        worker.kill()


def test_a_scan_is_the_same_and_workers_that_die_lose_nothing(cluster, head, root):
    here = scan(Local(2), root)
    assert scan(cluster, root).equals(here)
    assert scan(cluster, root, after_first=lambda: kill_workers(head[0])).equals(here)


def test_a_decoder_that_dies_or_hangs_on_a_node_costs_its_file(cluster, root, tmp_path):
    bad = shutil.copytree(root, tmp_path / "raw")
    (bad / "train/cat/k.png").write_bytes(b"kill")
    (bad / "test/dog/h.png").write_bytes(b"hang")
    rows = scan(cluster, bad, seconds=1.0).to_pylist()
    assert len(rows) == len(scan(Local(2), root)) + 2
    assert {row["path"]: (row["problem"], row["reason"]) for row in rows if row["problem"]} == {
        "train/cat/k.png": ("decoder_crash", "the decoder died of it (code -9)"),
        "test/dog/h.png": ("decoder_timeout", "not decoded within 1 seconds"),
    }


def views_of(executor, root, views_dir):
    paths = sorted(path.relative_to(root).as_posix() for path in (root / "train").rglob("*.png"))
    params = AugmentParams(image_size=24, views=3, rotation_degrees=10)
    write_views(params, 1, root, paths[2:], paths[:2], 3, views_dir, executor)
    return {path.name: path.read_bytes() for path in views_dir.iterdir()}


def test_views_are_the_same_and_so_is_what_cannot_be_read(cluster, root, tmp_path, monkeypatch):
    monkeypatch.setattr("thaw.augmentation.shards.SHARD_BYTES", 4 * 3 * 24 * 24 * 3)
    here = views_of(Local(), root, tmp_path / "here")
    assert len(here) > 3
    assert views_of(cluster, root, tmp_path / "there") == here
    bad = shutil.copytree(root, tmp_path / "raw")
    victim = sorted((bad / "train").rglob("*.png"))[-1]
    victim.write_bytes(b"no picture")
    with pytest.raises(ThawError, match=f"{victim}: cannot be read as an image") as error:
        views_of(cluster, bad, tmp_path / "bad")
    assert error.value.cure


@dataclass(frozen=True)
class Scale:
    """Opens a network that multiplies the brightness, and dies where it is opened first."""

    factor: float
    mark: Path

    def __call__(self):
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), 9)
        return self.run

    def run(self, pixels):
        return self.factor * pixels.mean((1, 2, 3), dtype=np.float64)[:, None] - 1


def test_predictions_are_the_same_by_a_network_that_each_worker_opens_for_itself(cluster, root, tmp_path, monkeypatch):
    monkeypatch.setattr("thaw.evaluation.inference._BATCH_BYTES", 4 * 16 * 16 * 3)
    files = [*sorted(root.rglob("*.png")), tmp_path / "missing.png"]
    opened = Scale(0.01, tmp_path / "mark")
    network = Portable(opened.run, opened)
    here, lost_here = predict_files(network, files, (16, 16, 3), "stretch", 2)
    there, lost_there = predict_files(network, files, (16, 16, 3), "stretch", 2, cluster)
    assert (tmp_path / "mark").exists()
    assert np.array_equal(here, there, equal_nan=True) and len(np.unique(here)) > 10
    assert list(lost_here) == list(lost_there) == [len(files) - 1]
    assert str(lost_there[len(files) - 1]) == str(lost_here[len(files) - 1])


def die(shard):
    os.kill(os.getpid(), 9)


def fail(shard):
    raise ZeroDivisionError(f"of {shard}")


def test_what_always_dies_is_given_up_and_a_fault_is_told_as_it_is(cluster, monkeypatch):
    monkeypatch.setattr(engine, "_RETRIES", 1)
    with pytest.raises(ThawError, match="a task was lost 2 times"):
        list(cluster.map(die, [1]))
    with pytest.raises(ZeroDivisionError, match="of 7"):
        list(cluster.map(fail, [7]))


def halve(shard):
    return shard / 2


def test_shards_are_taken_as_results_are(cluster):
    taken = []
    results = cluster.map(halve, (taken.append(n) or n for n in range(100)))
    assert [next(results) for _ in range(5)] == [0, 0.5, 1, 1.5, 2]
    assert len(taken) <= 5 + 3
    results.close()


def test_a_task_that_no_node_has_room_for_is_told(cluster, monkeypatch):
    big = cluster._params.model_copy(update={"cpus_per_task": 64})
    monkeypatch.setattr(cluster, "_params", big)
    with pytest.raises(ThawError, match="no node has 64 cores for a task: the largest has 2"):
        cluster.require_fit()


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "ray://no-such-host.invalid:10001"])
def test_an_address_that_nobody_answers_at_is_told(address, monkeypatch):
    assert engine._ANSWER_SECONDS < 30
    monkeypatch.setattr(engine, "_ANSWER_SECONDS", 1)
    with pytest.raises(ThawError, match=f"no Ray answers at {address}") as error:
        Cluster(ComputeParams(engine="ray", address=address))
    assert "ray start --head" in error.value.cure


def test_a_missing_package_is_told_with_its_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ThawError, match="the package ray is not installed") as error:
        Cluster(ComputeParams(engine="ray"))
    assert "pip install 'thaw[ray]'" in error.value.cure


def describe_with(*options, **environment):
    """What the probe finds in another Python."""
    code = f"import json; exec(open({probe.__file__!r}).read()); print(json.dumps(describe()))"
    done = subprocess.run([sys.executable, *options, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_node_with_other_code_or_without_packages_is_named(tmp_path):
    here = probe.describe()
    assert probe.mismatch("10.0.0.2", describe_with(PYTHONPATH=str(ROOT / "src")), here) is None
    other = shutil.copytree(ROOT / "src", tmp_path / "src")
    with (other / "thaw" / "arrays.py").open("a") as file:
        file.write("# edited\n")
    reason, cure = probe.mismatch("10.0.0.2", describe_with(PYTHONPATH=str(other)), here)
    assert "10.0.0.2" in reason and "source code" in reason and cure
    bare = describe_with("-I", "-S")
    reason, cure = probe.mismatch("10.0.0.2", bare, here)
    assert "10.0.0.2 lacks the package numpy" in reason and f"pip install numpy=={np.__version__}" in cure
    without_thaw = bare | {"packages": here["packages"]}
    reason, cure = probe.mismatch("10.0.0.2", without_thaw, here)
    assert "thaw is not installed" in reason and "10.0.0.2" in cure


def test_a_place_is_named_for_one_command(monkeypatch):
    params = ComputeParams(engine="ray", address="head:6379", cpus_per_task=3)
    assert choose(params) == params
    assert choose(params, "local").engine == "local"
    assert choose(ComputeParams(workers=3), "ray://h:10001") == ComputeParams(engine="ray", address="ray://h:10001", workers=3)
    monkeypatch.setenv(PLACE, "ray")
    assert choose(params) == params.model_copy(update={"address": ""})
    assert choose(params, "h:1").address == "h:1"
    with pytest.raises(ThawError, match="--compute cloud"):
        choose(params, "cloud")


def test_a_run_hands_its_place_on_to_its_stages(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv(PLACE, raising=False)
    seen = []
    monkeypatch.setattr("thaw.cli.run.execute_flow", lambda root, arguments: seen.append(os.environ.pop(PLACE)))
    CliRunner().invoke(app, ["run", "--compute", "ray://head:10001"], catch_exceptions=False)
    assert seen == ["ray://head:10001"]
    with pytest.raises(ThawError, match="--compute cloud: no place to work at"):
        CliRunner().invoke(app, ["run", "--compute", "cloud"], catch_exceptions=False)


def test_a_node_that_was_lost_a_moment_ago_is_left_out(cluster, head):
    """Ray lists it until its heartbeats have been missing for some seconds."""
    with tempfile.TemporaryDirectory(prefix="thaw", ignore_cleanup_errors=True) as home:
        other = Node(Path(home), f"--address=127.0.0.1:{head[1]}", "--num-cpus=1")
        assert len(cluster.nodes()) == 2
        other.kill()
    assert len(cluster.nodes()) == 2, "Ray does not know yet"
    cluster.require_fit()
    assert [node["cpus"] for node in cluster.describe()] == [2.0]


@pytest.mark.slow
def test_doctor_shows_the_nodes(head):
    command = [sys.executable, "-m", "thaw", "doctor", "--json", "--compute", f"ray://127.0.0.1:{head[1] + 1}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": "src"})
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert (checks["compute"]["state"], checks["compute"]["found"]) == ("ok", f"Ray on {command[-1]}, nodes that work: 1")
    [node] = [check for name, check in checks.items() if name.startswith("node ")]
    assert node["state"] == "ok" and node["found"].startswith("2 cores, 0 cards, thaw 0.")
