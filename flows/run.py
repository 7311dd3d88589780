"""One run of the pipeline: the books of DVC, the outbox to MLflow and the stages' processes, held together.

Knows nothing of Prefect: the flow wraps each call of `Run.stage` in a task.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows import workspace
from flows.booking import book_stage
from flows.processes import StageKilled, StageProcess, needs_tensorflow, warm_up
from thaw.errors import ThawError, explaining_disk
from thaw.files import digest, read_json
from thaw.params import load_params
from thaw.params.editing import override_params
from thaw.progress import tell_progress
from thaw.project import forget_finished, scratch_dir
from thaw.tracking import run_data
from thaw.tracking.address import model_name
from thaw.tracking.follower import JournalFollower
from thaw.tracking.outbox import all_outboxes, create_outbox, find_unfinished
from thaw.tracking.recording import (
    EXPERIMENT_TAG,
    StageFacts,
    record_child,
    record_data,
    record_failure,
    record_gate,
    record_stage,
    record_state,
)
from thaw.tracking.registry import tell_registered
from thaw.tracking.run_page import publish_run_page
from thaw.tracking.shipment import Shipment
from thaw.tracking.summary import NAME_TAG, default_gate
from thaw.versioning import (
    Code,
    DvcRepo,
    Snapshot,
    StageSpec,
    book_experiment,
    choose_stages,
    take_state,
    write_state,
)

_POLL_SECONDS = 0.3


@functools.cache
def shipment_of(root: Path) -> Shipment:
    """The process that ships to MLflow. Asked for early, it loads MLflow while the run gets ready."""
    return Shipment(root)


def find_standing_run(root: Path) -> str | None:
    """MLflow's id of the run that recorded what `dvc.lock` says, where every stage is up to date; else None."""
    lock = root / "dvc.lock"
    now = digest(lock) if lock.exists() else ""
    booked = (outbox for outbox in reversed(all_outboxes(root)) if outbox.tags("pipeline").get(run_data.LOCK_TAG) == now)
    outbox = next(booked, None)  # not always the newest: `thaw restore` brings earlier runs back
    if outbox is None or not outbox.is_shipped():
        return None
    repo = DvcRepo(root)
    try:
        stands = not any(repo.changed(spec.name) for spec in repo.stages())
    finally:
        repo.close()
    return outbox.run_ids().get("pipeline") if stands else None


@contextlib.contextmanager
def start_run(
    root: Path, overrides: dict[str, Any], apply: bool, name: str, flow_run_id: str, logger: Any, title: str = ""
) -> Iterator["Run"]:
    """Hold the project for a whole run: parameters are changed, stages run and booked by one at a time.

    Args:
        overrides: values of parameters, by dotted key.
        apply: write them into the project's `params.yaml`; else a run that has any works in a copy of the project.
        title: the run's name in MLflow; empty: one that tells its result.

    Raises:
        ThawError: another run holds the project, and `THAW_NO_WAIT` is set, or a parameter is wrong.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(explaining_disk())
        stack.enter_context(workspace.held(root, "THAW_NO_WAIT" not in os.environ, logger))
        place, code = root, None
        if overrides and apply:
            for change in override_params(root / "params.yaml", overrides):
                logger.info("params.yaml: %s", change)
        elif overrides:
            place, code = stack.enter_context(workspace.copied(root, overrides))
            logger.info("this run's parameters are its own: it works in a copy, and the project stays as it is")
        run = Run(place, root, code, name, flow_run_id, logger, title)
        try:
            yield run
        except Exception as error:
            run.fail(error)
            raise
        except BaseException:
            run.close(None)
            raise
        run.close("FINISHED")


class Run:
    """The run in progress. Made by `start_run`.

    Args:
        root: where it works: the project's folder, or a copy of it.
        home: the project's folder, from which runs are recorded.
        code: that a copy was made of, which has no Git.
    """

    def __init__(
        self, root: Path, home: Path, code: Code | None, name: str, flow_run_id: str, logger: Any, title: str
    ) -> None:
        self.root, self.home = root, home
        self.logger = logger
        self._params_text = (root / "params.yaml").read_bytes()
        self._code = code
        self.params = load_params(root / "params.yaml")
        self.repo = DvcRepo(root)
        self._name, self._flow_run_id, self._title = name, flow_run_id, title
        self._stage = ""
        self._model_dir: Path | None = None
        self.outcomes: dict[str, str] = {}
        """What each stage came to that was looked at: `ran`, `restored` or `unchanged`."""
        self.outdated: list[str] = []
        """At the end, the stages out of date that the metrics come from: where there are any, these are another run's."""
        self.outbox = find_unfinished(home, "pipeline", self._fingerprint()) or create_outbox(home)
        self._shipment = shipment_of(home)
        self._open()
        self._shipment.begin(self.outbox)
        self._is_warm = self._decides = False

    def _fingerprint(self) -> str:
        return run_data.fingerprint(self.root, self.repo.data_version())

    def _open(self) -> None:
        """Open the run in the outbox, or say what it stands on now: after a kill it is found by this fingerprint."""
        tags = run_data.describe_run(self.root, self.home) | {"prefect.flow_run_id": self._flow_run_id}
        tags |= {NAME_TAG: self._title} if self._title else {}
        params = self.params.flat(self.params.sections())
        self.outbox.open_run(
            "pipeline", self._title or self._name, tags=tags, params=params, fingerprint=self._fingerprint(),
            unshown=default_gate(params)
        )  # fmt: skip

    def plan(self, only: Sequence[str] = (), from_stage: str = "", force: bool = False) -> list[StageSpec]:
        """The stages to look at, in order (`thaw.versioning.choose_stages`).

        Where one of them will run that needs TensorFlow, the server that their processes are forked from begins to load it.

        Args:
            force: stages that are up to date will run too.
        """
        chosen = choose_stages(self.repo, self.repo.changed, only, from_stage)
        specs = [self.repo.stage(name) for name in chosen]
        need = {spec.name for spec in specs if needs_tensorflow(spec)}
        before_these = [name for name in chosen if need & set(self.repo.downstream(name))]
        self._decides = "evaluate" in chosen
        self._is_warm = any(force or self.repo.changed(name) for name in before_these)
        if self._is_warm:
            warm_up()
        return specs

    @explaining_disk()
    def stage(self, spec: StageSpec, force: bool = False) -> str:
        """Bring a stage up to date and record it: `unchanged`, `restored` (from DVC's run cache) or `ran`.

        Raises:
            ThawError: the stage refuses its input, or it is missing.
            StageFailed, StageKilled: it did not end well.
        """
        self._stage = spec.name
        spec.require_inputs(self.root)
        with self.repo.reserved(spec.name):
            snapshot = self.repo.snapshot(spec.name)
            self._require_own_params(spec, snapshot)
            outcome = book_stage(self.repo, spec, snapshot, self._work, force)
            self._record(spec, snapshot, outcome)
        self.outcomes[spec.name] = outcome
        if self._decides and (classes_path := spec.outputs.get("classes_path")):  # now, not when all is trained
            self.params.evaluate.require_classes(read_json(classes_path))
        return outcome

    def _require_own_params(self, spec: StageSpec, snapshot: Snapshot) -> None:
        """Hold the run to the parameters that it was opened with in MLflow."""
        now, own = load_params(self.root / "params.yaml").flat(spec.keys), self.params.flat(spec.keys)
        changed = [f"{key}: {own[key]} -> {now[key]}" for key in snapshot.params if now[key] != own[key]]
        if changed:
            raise ThawError(
                f"params.yaml was changed while this run was at work ({'; '.join(changed)})",
                f"Run `thaw run` again: it goes on from {spec.name} with the new values.",
            )

    def _work(self, spec: StageSpec, snapshot: Snapshot) -> None:
        scratch = scratch_dir(self.root, spec.name)
        scratch.mkdir(parents=True, exist_ok=True)
        if self.repo.is_booked(spec.name):
            forget_finished(self.root, spec.name)
        journal_path, log_path = scratch / "journal.jsonl", scratch / "log.txt"
        if not self.outbox.opened(spec.name):
            journal_path.unlink(missing_ok=True)
        log_path.write_bytes(b"")
        self.outbox.open_run(spec.name, spec.name, "pipeline", params=self.params.flat([spec.name]))
        self.repo.clear(spec.name)
        first_step = run_data.epochs_before(self.repo.stages(), spec.name)
        # A run that is killed (Prefect's TerminationSignal is no Exception) stays open: the next one goes on with it.
        status: str | None = None
        try:
            with (
                JournalFollower(self.outbox, (spec.name, "pipeline"), journal_path, first_step),
                _tail(log_path, self.logger),
            ):
                # The first stage does not wait for the server, which has had time to load by the next.
                forked = needs_tensorflow(spec) or (self._is_warm and bool(self.outcomes))
                StageProcess(spec, self.root, self.params, log_path, forked).result()
            self.repo.commit(spec.name, snapshot)
            forget_finished(self.root, spec.name)
            record_child(self.outbox, spec)
            status = "FINISHED"
        except StageKilled:
            raise
        except Exception:
            status = "FAILED"
            raise
        finally:
            record_gate(self.outbox, spec)
            if status:
                self.outbox.close_run(spec.name, status)

    def _record(self, spec: StageSpec, snapshot: Snapshot, outcome: str) -> None:
        """What the stage's outputs say goes to the pipeline's run, whether the stage ran or not."""
        if spec.name == "validate":
            for booked in self.repo.commit_data(spec.name):
                self.logger.info("%s: data version booked", booked)
            self._open()
            versions = self.repo.data_version()
            record_data(self.outbox, versions)
            for name, version in versions.items():
                self.logger.info("%s: data version %s", name, version)
        first_step = run_data.epochs_before(self.repo.stages(), spec.name)
        hashes = self.repo.booked_output_hashes(spec.name) | self.repo.made_inputs(snapshot)
        record_stage(self.outbox, StageFacts(spec, outcome, first_step, hashes), model_name(self.home))
        if outcome != "unchanged":
            self._model_dir = spec.outputs.get("evaluated_dir", self._model_dir)

    def fail(self, error: Exception) -> None:
        """End the run with the reason; one whose stage was killed stays open."""
        if isinstance(error, StageKilled):
            self.close(None)
            return
        record_failure(self.outbox, self._stage, error)
        self.close("FAILED")

    def close(self, status: str | None) -> None:
        """End the run in MLflow, and wait until everything is there; where tracking is down, say so and go on.

        Args:
            status: None for a run that was killed: it stays open in the outbox, so that the next run goes on with it.
                The shipper, which outlives this process, marks it as killed in MLflow.
        """
        if status == "FINISHED":
            judges = [spec.name for spec in self.repo.stages() if spec.metrics]
            behind = {name for judge in judges for name in (*self.repo.upstream(judge), judge)} - set(self.outcomes)
            self.outdated = [spec.name for spec in self.repo.stages() if spec.name in behind and self.repo.changed(spec.name)]
        if status is not None:
            self._keep_state(status)
        self.repo.close()
        if status is None:
            return
        for name in (spec.name for spec in self.repo.stages()):
            if self.outbox.opened(name):
                self.outbox.close_run(name, status)
        self.outbox.close_run("pipeline", status)
        self.outbox.finish()
        tell_progress("recording", "in MLflow")
        problem = self._shipment.wait()
        if self.root == self.home:
            publish_run_page(self.outbox, self.root)
        if problem:
            self.logger.warning("%s", problem)
        elif self._model_dir:
            self.logger.info("%s", tell_registered(self.home, self._model_dir))

    def _keep_state(self, status: str) -> None:
        """Record what it takes to have this run again; it stands in MLflow all the same where that cannot be."""
        try:
            state = take_state(self.repo, self._params_text, code=self._code)
            record_state(self.outbox, functools.partial(write_state, state=state))
            experiment = book_experiment(self.home, state, self._name) if status == "FINISHED" else ""
            if experiment:
                self.outbox.log_tags("pipeline", {EXPERIMENT_TAG: experiment})
        except (ThawError, OSError) as error:
            self.logger.warning("`thaw restore` will not know this run: %s", error)

    def given_params(self) -> dict[str, Any]:
        """What makes the result what it is, by dotted key; the gate's settings where they are not the default."""
        values = self.params.flat(self.params.sections())
        silent = set(default_gate(values))
        return {key: value for key, value in values.items() if key not in silent and not key.startswith("compute.")}

    def link(self, links: Mapping[str, str]) -> None:
        """Give the run's page addresses, by their titles."""
        self.outbox.log_links("pipeline", links)

    def run_ids(self) -> dict[str, str]:
        """MLflow's run ids (`thaw.tracking.outbox.Outbox.run_ids`)."""
        return self.outbox.run_ids()


@contextlib.contextmanager
def _tail(log_path: Path, logger: Any) -> Iterator[None]:
    """Hand the lines that a stage prints to `logger`, as they come."""
    done = threading.Event()
    thread = threading.Thread(target=_follow_lines, args=(log_path, logger, done), name="log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _follow_lines(log_path: Path, logger: Any, done: threading.Event) -> None:
    rest = b""
    with log_path.open("rb") as file:
        while True:
            last_round = done.wait(_POLL_SECONDS)
            *lines, rest = (rest + file.read()).split(b"\n")
            for line in [*lines, rest] if last_round else lines:
                text = line.decode(errors="replace").rstrip().rsplit("\r", 1)[-1]
                if text:
                    logger.info("%s", text)
            if last_round:
                return
