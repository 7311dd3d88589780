"""Which engine works, and where."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from thaw.compute.executor import Executor
from thaw.compute.local import Local
from thaw.errors import ThawError
from thaw.params.compute import ComputeParams

PLACE = "THAW_COMPUTE"
"""The variable that names a place for every command and stage started with it, as `--compute` does for one command."""


def choose(params: ComputeParams, place: str = "") -> ComputeParams:
    """`params` with the engine of `place`, or of the environment's `THAW_COMPUTE`, where one is named.

    Args:
        place: `local`, `ray` (one of its own on this machine), or a cluster's address.

    Raises:
        ThawError: it is none of these.
    """
    named = place or os.environ.get(PLACE, "")
    if not named:
        return params
    if named in ("local", "ray"):
        return params.model_copy(update={"engine": named, "address": ""})
    if ":" not in named:
        raise ThawError(
            f"--compute {named}: no place to work at", "Name `local`, `ray`, host:6379 or ray://host:10001."
        )
    return params.model_copy(update={"engine": "ray", "address": named})


@contextmanager
def open_executor(params: ComputeParams) -> Iterator[Executor]:
    """The engine that `params` names, connected and found fit, for the block.

    Raises:
        ThawError: Ray is not installed, nobody answers at its address, or a node has other code or packages.
    """
    if params.engine == "local":
        yield Local(params.workers)
        return
    from thaw.compute.cluster import Cluster

    with Cluster(params) as cluster:
        cluster.require_fit()
        yield cluster
