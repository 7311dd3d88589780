"""The pipeline under several seeds, in a copy of the project: what another seed would have given.

Knows nothing of Prefect, as `flows.run`: nobody looks at these runs one by one.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flows import workspace
from flows.booking import book_stage
from flows.processes import StageProcess, needs_tensorflow, warm_up
from thaw.errors import explaining_disk
from thaw.fingerprint import content_key
from thaw.params import Params, load_params
from thaw.params.editing import override_params
from thaw.progress import showing, tell_progress
from thaw.project import forget_experiment, forget_finished, scratch_dir
from thaw.tracking import run_data
from thaw.trials.recording import recording
from thaw.versioning import DvcRepo, Snapshot, StageSpec

_log = logging.getLogger("thaw.seeds")
_SHOWN = ("test/accuracy", "test/balanced_accuracy", "test/log_loss", "test/roc_auc")
VARIED = {"training": "split", "all": ""}
"""What `--vary` names, to the stage up to which all seeds have what the project's own seed gives; empty: none."""


@contextlib.contextmanager
def seeds_run(root: Path, vary: str, wait: bool, logger: Any) -> Iterator["Seeds"]:
    """Hold the project, and work in a copy of it, for the block.

    Raises:
        ThawError: another run holds the project and `wait` is not set, or it cannot be copied.
    """
    with explaining_disk(), workspace.held(root, wait, logger), workspace.copied(root, {}) as (place, _):
        yield Seeds(place, vary)


class Seeds:
    """The pipeline in a copy of the project, run for one seed after the other. Made by `seeds_run`.

    Each stage is taken from DVC's cache where it is known there: stages that do not depend on the seed run once, and what a
    killed run had done is not done again.
    """

    def __init__(self, place: Path, vary: str) -> None:
        self._place = place
        self._common = VARIED[vary]

    def run(self, seed: int) -> dict[str, float]:
        """The metrics of the test split, as a run has them in MLflow (`test/accuracy`), with `seed`.

        Raises:
            ThawError: a stage refuses its input.
            StageFailed, StageKilled: it did not end well.
        """
        params_path = self._place / "params.yaml"
        own = load_params(params_path).seed
        with self._opened() as repo:
            judge = next(spec for spec in repo.stages() if spec.metrics)
            names = [*repo.upstream(judge.name), judge.name]
            common = [*repo.upstream(self._common), self._common] if self._common else []
            self._bring(repo, common)
        override_params(params_path, {"seed": seed})
        try:
            with self._opened() as repo:
                self._bring(repo, [name for name in names if name not in common])
            forget_experiment(self._place)
            return {name: value for path in _metrics(judge) for name, value in run_data.result_metrics(path).items()}
        finally:
            override_params(params_path, {"seed": own})

    @contextlib.contextmanager
    def _opened(self) -> Iterator[DvcRepo]:
        repo = DvcRepo(self._place)
        try:
            yield repo
        finally:
            repo.close()

    def _bring(self, repo: DvcRepo, names: Sequence[str]) -> None:
        params = load_params(self._place / "params.yaml")
        if any(needs_tensorflow(repo.stage(name)) and repo.changed(name) for name in names):
            warm_up()
        for name in names:
            spec = repo.stage(name)
            tell_progress(name)
            spec.require_inputs(self._place)
            with repo.reserved(name):
                stage = _Stage(repo, self._place, params)
                book_stage(repo, spec, repo.snapshot(name), stage.work)


class _Stage:
    def __init__(self, repo: DvcRepo, place: Path, params: Params) -> None:
        self._repo, self._place, self._params = repo, place, params

    def work(self, spec: StageSpec, snapshot: Snapshot) -> None:
        """Run a stage in its process, and book what it made."""
        scratch = scratch_dir(self._place, spec.name)
        scratch.mkdir(parents=True, exist_ok=True)
        if self._repo.is_booked(spec.name):
            forget_finished(self._place, spec.name)
        self._repo.clear(spec.name)
        StageProcess(spec, self._place, self._params, scratch / "log.txt", needs_tensorflow(spec)).result()
        self._repo.commit(spec.name, snapshot)
        forget_finished(self._place, spec.name)


def _metrics(judge: StageSpec) -> list[Path]:
    return [path for name, path in judge.outputs.items() if name == "metrics_path"]


def run_seeds(root: Path, seeds: Sequence[int], vary: str, wait: bool, as_json: bool) -> None:
    """Run the pipeline for each seed, record them in MLflow as children of one run, and print what came out.

    Raises:
        ThawError: as `Seeds.run`; the run in MLflow has failed.
    """
    from thaw.cli.seed_table import record_spread, tell_seeds

    versions, params = _data_versions(root), load_params(root / "params.yaml")
    mark = content_key(run_data.fingerprint(root, versions), list(seeds), vary)
    told = params.flat(params.sections())
    found: dict[int, dict[str, float]] = {}
    with (
        showing("seeds", ticking=False),
        seeds_run(root, vary, wait, _log) as work,
        recording(root, "seeds", f"{len(seeds)} seeds, {vary}", told, versions, mark) as recorded,
    ):
        for seed in seeds:
            metrics = work.run(seed)
            recorded.record_child(f"seed-{seed}", f"seed {seed}", metrics, {"seed": seed})
            found[seed] = {name.removeprefix("test/"): value for name, value in metrics.items() if name in _SHOWN}
        record_spread(recorded, found, vary)
    tell_seeds(found, "on the test split, each model by itself", vary, as_json)


def _data_versions(root: Path) -> dict[str, str]:
    repo = DvcRepo(root)
    try:
        return repo.data_version()
    finally:
        repo.close()
