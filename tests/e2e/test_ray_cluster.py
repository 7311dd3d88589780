"""A cluster of real nodes, each in a network namespace with an address of its own: the same bytes by any number of them, and
when one loses power in the middle of the work.

The driver is no node: it speaks `ray://` to the head, which does no work itself.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.code.ray_nodes import ROOT, Node, start_head
from thaw import models
from thaw.cli import app
from thaw.compute.cluster import Cluster
from thaw.errors import ThawError
from thaw.files import write_json
from thaw.params import (
    AugmentParams,
    ComputeParams,
    EvaluateParams,
    ExtractParams,
    ModelParams,
    ValidateParams,
)
from thaw.params.editing import override_params
from thaw.stages.augment import AugmentInputs, AugmentOutputs, augment
from thaw.stages.evaluate import EvaluateInputs, EvaluateOutputs, evaluate
from thaw.stages.extract import ExtractInputs, ExtractOutputs, extract
from thaw.stages.validate import ValidateInputs, ValidateOutputs, validate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="network namespaces need root on Linux"),
]
SIDE, IMAGES = 64, 96
NETWORK = f"10.213.{os.getpid() % 250}"
MODEL = ModelParams(architecture="efficientnet_lite0", weights="imagenet")


class Network:
    """A bridge, and machines on it: namespaces named by `name`."""

    def __init__(self, home: Path) -> None:
        self.home, self.bridge = home, f"tb{os.getpid() % 100000}"
        self.nodes: dict[int, Node] = {}
        self._ip("link", "add", self.bridge, "type", "bridge")
        self._ip("addr", "add", f"{NETWORK}.254/24", "dev", self.bridge)
        self._ip("link", "set", self.bridge, "up")

    def _ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True)

    def add(self, number: int, source: Path = ROOT / "src") -> Node:
        """A machine at `NETWORK.number`: the first is the head, which does no work, each other has one core."""
        space, cable = f"{self.bridge}-{number}", f"{self.bridge}v{number}"
        inside = ("netns", "exec", space, "ip")
        self._ip("netns", "add", space)
        self._ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        self._ip("link", "set", cable, "master", self.bridge, "up")
        self._ip(*inside, "addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
        self._ip(*inside, "link", "set", "eth0", "up")
        self._ip(*inside, "link", "set", "lo", "up")
        prefix, address = ("ip", "netns", "exec", space), f"--node-ip-address={NETWORK}.{number}"
        if number == 1:
            node = start_head(self.home / "1", 6379, 0, address, prefix=prefix)
        else:
            node = Node(
                self.home / str(number), f"--address={NETWORK}.1:6379", "--num-cpus=1", address, prefix=prefix, source=source
            )
        self.nodes[number] = node
        return node

    def lose(self, number: int) -> None:
        """As a machine goes that loses power: its processes, and its cable."""
        self.nodes.pop(number).kill()
        self._ip("netns", "del", f"{self.bridge}-{number}")

    def close(self) -> None:
        for number in sorted(self.nodes, reverse=True):
            self.lose(number)
        self._ip("link", "del", self.bridge)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with tempfile.TemporaryDirectory(prefix="thaw", ignore_cleanup_errors=True) as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        network = Network(Path(home))
        try:
            network.add(1)
            network.add(2)
            yield network
        finally:
            network.close()


ADDRESS = f"ray://{NETWORK}.1:6380"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of two classes, their splits, and a network."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(IMAGES):
        pixels = np.kron(rng.integers(40, 160, (16, 16, 3)), np.ones((4, 4, 1), int))
        label = number % 2
        pixels[16:-16, 16:-16] += 80 * label
        name = f"{('plain', 'ring')[label]}/{number:03d}.png"
        (folder / "data" / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "data" / "raw" / name)
        rows.append((name, name.split("/")[0], label, "", 1, 1, 0, ""))
    columns = ["path", "class", "label", "target", "weight", "confidence", "grey", "group"]
    for split, part in {"train": rows[:72], "validation": rows[72:], "test": rows}.items():
        pd.DataFrame(part, columns=columns).sort_values("path").to_csv(folder / f"{split}.csv", index=False)
    statistics = {"grey": False, "brightness": 100.0, "contrast": 30.0, "sharpness": 0.5}
    pictures = {"format": "PNG", "width": 64, "height": 64, **statistics}
    pd.DataFrame({"path": [row[0] for row in rows], **pictures}).to_parquet(folder / "manifest.parquet")
    write_json(folder / "classes.json", ["plain", "ring"])
    columns = "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate"
    (folder / "curve.csv").write_text(f"{columns}\n1,0.5,0.7,0.6,0.6,0.001\n")
    (folder / "data" / "contract").mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder / name)
    override_params(folder / "params.yaml", {"extract.batch_size": 8})
    built = models.build(MODEL, (SIDE, SIDE, 3), 2, seed=1)
    config = {"model": MODEL.model_dump(), "input_shape": (SIDE, SIDE, 3), "resize": "stretch", "classes": ["plain", "ring"]}
    for name in ("fine_tuned", "evaluated"):
        models.save(built, folder / "models" / name, config)
    return folder


def run_validate(project: Path, out: Path, compute: ComputeParams) -> None:
    inputs = ValidateInputs(project / "data" / "raw", project / "data" / "contract")
    outputs = ValidateOutputs(out / "manifest.parquet", out / "findings.json", out / "gate.md")
    validate(ValidateParams(), compute, inputs, outputs, out / "scratch")


def run_augment(project: Path, out: Path, compute: ComputeParams) -> None:
    inputs = AugmentInputs(project / "data" / "raw", project / "train.csv", project / "validation.csv")
    params = AugmentParams(image_size=SIDE, views=3, rotation_degrees=10)
    augment(params, 1, compute, inputs, AugmentOutputs(out / "views", out / "sheet.png"), out)


def run_extract(project: Path, out: Path, compute: ComputeParams) -> None:
    if not (project / "views").exists():
        run_augment(project, project, ComputeParams())
    inputs = ExtractInputs(project / "views", project / "pretrained")
    extract(ExtractParams(batch_size=8), MODEL, compute, inputs, ExtractOutputs(out / "features"), out / "scratch")


def run_evaluate(project: Path, out: Path, compute: ComputeParams) -> None:
    inputs = EvaluateInputs(
        project / "data" / "raw", project / "manifest.parquet", project / "none", project / "none", project / "test.csv",
        project / "classes.json", project / "models" / "fine_tuned", project / "none", project / "none",
        project / "curve.csv", project / "curve.csv",
    )  # fmt: skip
    outputs = EvaluateOutputs(
        out / "headline.json", out / "metrics.json", out / "predictions.csv", out / "class_metrics.csv", out / "slices.csv",
        out / "confusion.csv", out / "confused_pairs.csv", out / "confusion_plot.csv", out / "pictures", out / "evaluated",
    )  # fmt: skip
    params = EvaluateParams(bootstrap_samples=20, explained_images=0)
    evaluate(params, 1, ExtractParams(batch_size=8), compute, inputs, outputs, out / "scratch")


def run_predict(project: Path, out: Path, compute: ComputeParams) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        command = ["predict", "data/raw", "--csv", str(out / "classes.csv"), "--compute", compute.address or "local"]
        done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output


JOBS: dict[str, Callable[[Path, Path, ComputeParams], None]] = {
    "validate": run_validate, "augment": run_augment, "extract": run_extract, "evaluate": run_evaluate, "predict": run_predict,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def small_shards() -> Iterator[None]:
    """Work enough for several nodes in few pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thaw.gate.scan.store._SHARD_FILES", 8)
        patch.setattr("thaw.augmentation.shards.SHARD_BYTES", 8 * 3 * SIDE * SIDE * 3)
        patch.setattr("thaw.training.activations._BLOCK_IMAGES", 16)
        patch.setattr("thaw.evaluation.inference._BATCH_BYTES", 8 * SIDE * SIDE * 3)
        yield


def outputs_of(project: Path, out: Path, job: str, compute: ComputeParams) -> dict[str, bytes]:
    out.mkdir(parents=True)
    begin = time.monotonic()
    JOBS[job](project, out, compute)
    print(f"{job} {out.name}: {time.monotonic() - begin:.1f} s")
    found = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.relative_to(out).parts[0] != "scratch" and path.suffix != ".html"
    }
    shutil.rmtree(out)
    return found


@pytest.fixture(scope="module")
def expected(project: Path, small_shards: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What this machine gives."""
    home = tmp_path_factory.mktemp("here")
    return {job: outputs_of(project, home / job, job, ComputeParams()) for job in JOBS}


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_nodes_gives_the_bytes_of_one_machine(network, project, expected, tmp_path, workers):
    for number in range(2 + len(network.nodes) - 1, 2 + workers):
        network.add(number)
    compute = ComputeParams(engine="ray", address=ADDRESS)
    with Cluster(compute) as cluster:
        assert [node["name"] for node in cluster.nodes()] == [f"{NETWORK}.{2 + n}" for n in range(workers)]
    for job in JOBS:
        assert outputs_of(project, tmp_path / f"{job}-{workers}", job, compute) == expected[job], job


@pytest.mark.parametrize("job", JOBS)
def test_a_node_that_is_lost_in_mid_work_loses_nothing(network, project, expected, tmp_path, monkeypatch, job):
    for number in set(network.nodes) - {1}:
        network.lose(number)
    for number in (2, 3):
        network.add(number)
    taken, take = [], Cluster._take

    def take_and_lose(self, answer):
        result = take(self, answer)
        taken.append(None)
        if len(taken) == 2:
            network.lose(3)
        return result

    monkeypatch.setattr(Cluster, "_take", take_and_lose)
    compute = ComputeParams(engine="ray", address=ADDRESS)
    assert outputs_of(project, tmp_path / f"{job}-lost", job, compute) == expected[job]
    assert len(taken) > 4 and 3 not in network.nodes


def test_a_node_with_another_thaw_is_refused_by_name(network, tmp_path):
    other = shutil.copytree(ROOT / "src", tmp_path / "src")
    with (other / "thaw" / "arrays.py").open("a") as file:
        file.write("# edited\n")
    network.add(9, source=other)
    begin = time.monotonic()
    with pytest.raises(ThawError, match=rf"node {NETWORK}\.9: thaw's source code is another"), Cluster(
        ComputeParams(engine="ray", address=ADDRESS)
    ) as cluster:
        cluster.require_fit()
    assert time.monotonic() - begin < 60
    network.lose(9)
