"""Where a stage trains: in this process, or in a group on the machines of a cluster."""

from pathlib import Path

from thaw.compute.cluster import Cluster
from thaw.devices import keras_backend
from thaw.errors import ThawError
from thaw.params import ComputeParams, FitParams
from thaw.project import CHECKPOINTS
from thaw.training.groups import ALONE, Work, run_group
from thaw.training.guard import Stop


def train_on_machines(params: FitParams, compute: ComputeParams, work: Work, stop: Stop, scratch_dir: Path) -> None:
    """Do `work` here, or with `devices: all_machines` on every machine of the Ray cluster that `compute` names.

    Args:
        scratch_dir: holds the training's checkpoints; every machine reaches it under this path.

    Raises:
        ThawError: the work raised it, no cluster is named or reached, or Keras computes with what trains on one machine only.
        Stopped: on request.
    """
    if params.devices != "all_machines":
        work(ALONE, stop)
        return
    if compute.engine != "ray":
        raise ThawError(
            "devices: all_machines needs a Ray cluster, and compute.engine is local",
            "Set compute.engine: ray and compute.address, or devices: auto, which trains on this machine.",
        )
    if keras_backend() != "jax":
        raise ThawError(
            "devices: all_machines: Keras trains on several machines with JAX alone (keras-team/keras#20585)",
            "Run with KERAS_BACKEND=jax, or set devices: auto, which trains on this machine.",
        )
    with Cluster(compute) as cluster:
        cluster.require_fit()
        from thaw.training.groups.ray import RayPlaces

        run_group(RayPlaces(params.batch_size), work, stop, scratch_dir / CHECKPOINTS)
