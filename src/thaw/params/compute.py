"""Parameters of no stage: how the work is done."""

from typing import Literal

from pydantic import Field

from thaw.params.base import Section


class ComputeParams(Section):
    """How the work is done, never what comes out: a change here reruns nothing."""

    engine: Literal["local", "ray"] = "local"
    """Where images are read and networks run in `validate`, `augment`, `extract`, `evaluate` and `thaw predict`: on this
    machine, or as tasks on Ray (`thaw[ray]`; docs/scale.md). `--compute` names another place for one command."""
    address: str = ""
    """Of `ray`: the cluster, as `host:6379` (this machine is one of its nodes) or `ray://host:10001`; empty: a Ray of its
    own on this machine."""
    cpus_per_task: int = Field(1, ge=1)
    """Of `ray`: the cores that a task is given."""
    gpus_per_task: float = Field(0.0, ge=0)
    """Of `ray`: the cards that a task which runs a network is given; 0.5: two tasks share one."""
    max_in_flight: int = Field(0, ge=0)
    """Of `ray`: tasks that are at work, wait, or have a result that waits; 0: two for each that the cluster has room for."""
    workers: int = Field(0, ge=0)
    """Of `local`: processes that read images in `validate`; 0: one for each core."""
    cache_gb: float = Field(8.0, ge=0)
    """Room for activations that `fine_tune` keeps at the cut between frozen and thawed layers; beyond it they are
    computed again each epoch."""
