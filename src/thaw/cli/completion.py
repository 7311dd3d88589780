"""What a shell completes: read from small files, so that it comes while one types."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from thaw.errors import ThawError
from thaw.project import find_root, home_dir


def complete_stage(incomplete: str) -> list[str]:
    """Names of stages, of `dvc.yaml`."""
    from thaw.versioning import read_stage_names

    try:
        return _starting_with(incomplete, read_stage_names(find_root()))
    except ThawError:
        return []


def complete_override(incomplete: str) -> list[str]:
    """`key=`, for each dotted key of `params.yaml`."""
    from thaw.params import load_params

    try:
        params = load_params(find_root() / "params.yaml")
    except ThawError:
        return []
    return _starting_with(incomplete, (f"{key}=" for key in params.flat(params.sections())))


def complete_run(incomplete: str) -> list[str]:
    """MLflow's ids of this project's pipeline runs, the newest first."""
    try:
        return _starting_with(incomplete, _run_ids(home_dir(find_root())))
    except ThawError:
        return []


def _run_ids(home: Path) -> Iterator[str]:
    from thaw.tracking.outbox import all_outboxes

    for outbox in reversed(all_outboxes(home)):
        run_id = outbox.run_ids().get("pipeline")
        if run_id:
            yield run_id


def complete_network(incomplete: str) -> list[str]:
    """Names that `model.architecture` may take."""
    from thaw.models.catalog import BACKBONES, NETWORKS

    return _starting_with(incomplete, [*BACKBONES, *NETWORKS])


def _starting_with(incomplete: str, values: Iterable[str]) -> list[str]:
    return [value for value in values if value.startswith(incomplete)]
