"""One stage brought up to date by DVC's books."""

from collections.abc import Callable

from thaw.versioning import DvcRepo, Snapshot, StageSpec


def book_stage(
    repo: DvcRepo, spec: StageSpec, snapshot: Snapshot, work: Callable[[StageSpec, Snapshot], None], force: bool = False
) -> str:
    """Leave a stage as it is, bring it back from DVC's run cache, or have it worked: `unchanged`, `restored` or `ran`.

    Args:
        snapshot: of what the stage depends on.
        work: makes the stage's outputs, and books them.
        force: work though it is up to date.

    Raises:
        ThawError: what the stage is about to read is not what is booked.
    """
    repo.require_consistent(spec.name, snapshot)
    if not force and not repo.changed(spec.name):
        repo.require_booked(spec.name, snapshot)
        return "unchanged"
    if not force and repo.restore(spec.name, snapshot):
        return "restored"
    work(spec, snapshot)
    return "ran"
