"""Parameters of no stage: how the work is done."""

from pydantic import Field

from thaw.params.base import Section


class ComputeParams(Section):
    """How the work is done, never what comes out: a change here reruns nothing."""

    workers: int = Field(0, ge=0)
    """Processes that read images in `validate`; 0: one for each core."""
    cache_gb: float = Field(8.0, ge=0)
    """Room for activations that `fine_tune` keeps at the cut between frozen and thawed layers; beyond it they are
    computed again each epoch."""
