"""A training on two nodes of a Ray cluster, one of whose processes is killed: the same bytes as undisturbed."""

import json
from functools import partial

import numpy as np
import pytest

from tests.code import backend_training
from tests.code.local_group import LocalPlaces
from thaw.errors import ThawError
from thaw.training.groups import run_group
from thaw.training.groups.ray import RayPlaces, count_machines
from thaw.training.guard import Stop


def node(cpus, gpus=0.0, alive=True):
    return {"Alive": alive, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


@pytest.mark.parametrize(("nodes", "batch_size", "expected"), [
    ([node(4)], 32, (1, 0)),
    ([node(4), node(4), node(4, alive=False)], 32, (2, 0)),
    ([node(4)] * 3, 32, (2, 0)),  # three would not divide it
    ([node(4)] * 3, 33, (3, 0)),
    ([node(4), node(8, 2.0), node(8, 2.0)], 32, (2, 2)),  # the one without a card would be waited for
    ([node(8, 4.0), node(8, 2.0)], 32, (2, 2)),
    ([{"Alive": True, "Resources": {"memory": 1.0}}, node(1)], 8, (1, 0)),
])  # fmt: skip
def test_as_many_machines_train_as_divide_the_batch(nodes, batch_size, expected):
    assert count_machines(nodes, batch_size) == expected


@pytest.mark.parametrize("nodes", [[], [node(4, alive=False)], [node(8, 3.0)]])
def test_no_machine_is_an_error(nodes):
    with pytest.raises(ThawError, match="all_machines"):
        count_machines(nodes, 32)


@pytest.fixture(scope="module")
def cluster():
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, logging_level="ERROR")
    yield
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["head", "frozen statistics", "moving statistics"])
def test_a_killed_process_changes_no_byte(cluster, tmp_path, monkeypatch, name):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    backend_training.write_data(tmp_path)
    places = {"alone": (LocalPlaces(1), 0), "local": (LocalPlaces(2), 0), "ray": (RayPlaces(16), 8)}
    found = {}
    for where, (place, dies_at) in places.items():
        out = tmp_path / where
        out.mkdir()
        work = partial(backend_training.train_in_group, tmp_path, out, name, dies_at)
        run_group(place, work, Stop(), out / "scratch/checkpoints")
        assert (out / "died").exists() == (dies_at > 0)
        weights = np.load(out / "weights.npz")
        found[where] = json.loads((out / "curve.json").read_text()), {key: weights[key].tobytes() for key in weights}
    assert found["ray"] == found["local"]
    for left, right in zip(found["alone"][0], found["ray"][0], strict=True):
        assert left == pytest.approx(right, abs=1e-4)
