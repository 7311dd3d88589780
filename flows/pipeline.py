"""The Prefect flow: one task a stage, in the order of DVC's graph, booked in `dvc.lock`, recorded in MLflow.

`thaw run` runs it; `thaw deploy` serves it, so that a run is triggered from Prefect.
"""

import multiprocessing
from pathlib import Path
from typing import Any

from httpx import TransportError
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Completed, Failed, State

from flows import ending
from flows.form import Changes, OptionalStageName, StageName, overrides_of
from flows.links import prefect_links
from flows.processes import StageFailed, StageKilled
from flows.results import (
    Outcome,
    Standing,
    compare_link,
    describe_links,
    describe_outdated,
    gate_summary,
    result_table,
)
from flows.run import Run, start_run
from thaw.errors import ThawError
from thaw.prefect_pages import FLOW
from thaw.processes import die_with_parent
from thaw.project import find_root
from thaw.redaction import hide_in_logs, redact
from thaw.versioning import StageSpec


@flow(name=FLOW, persist_result=False)
def pipeline(
    change: Changes = {},  # type: ignore[assignment]  # noqa: B006 - what the form begins with
    overrides: dict[str, Any] = {},  # noqa: B006 - Prefect's form shows an editor for a mapping, and none for one that may be None
    apply: bool = False,
    only: list[StageName] = [],  # noqa: B006 - nor a picker
    from_stage: OptionalStageName = "",
    force: bool = False,
    name: str = "",
) -> Any:
    """Run the stages that are out of date.

    Args:
        change: parameters of this run alone, which works in a copy of the project; those left empty are as in params.yaml.
        overrides: further ones, by their key in params.yaml: {"augment.vertical_flip": false}
        apply: write what is changed into params.yaml, and run in the project itself.
        only: run these stages and no other; none is all of them.
        from_stage: run this stage and all that depends on it.
        force: run stages that are up to date too.
        name: the run's in MLflow; without one it is named by its result and parameters.

    Returns:
        An `Outcome`; or a failed state that carries the error.
    """
    if multiprocessing.parent_process() is not None:  # of `thaw deploy`
        die_with_parent()
        hide_in_logs()
    root = find_root(Path(__file__).parent)
    logger = get_run_logger()
    try:
        values = overrides_of(Changes.model_validate(change).model_dump(exclude_unset=True), overrides)
        with start_run(
            root, values, apply, flow_run.get_name() or "run", flow_run.get_id() or "", logger, name
        ) as run:
            for spec in run.plan(only, from_stage, force):
                _run_stage(run, spec, force)
            versions = run.repo.data_version()
            standing = Standing.of(run.root)
            run.link(prefect_links(root, flow_run.get_id() or "", run.given_params()))
    except (ThawError, StageFailed, StageKilled) as error:
        ending.remember(error)
        return _failed(error)
    ids = run.run_ids()
    links = describe_links(root, ids)
    data = [f"Data version of {name}: {version}" for name, version in versions.items()]
    in_copy = run.root != run.home
    outcome = Outcome(
        ids.get("pipeline", ""), run.outdated, standing, run.outcomes, compare_link(root, ids), in_copy
    )
    result = describe_outdated(run.outdated) or result_table(outcome.metrics)
    ending.remember(outcome)
    _show("result", "\n\n".join([result, *data, *links]), "Test metrics")
    logger.info("%s", links[0])
    return outcome


def _show(key: str, markdown: str, description: str) -> None:
    """Make an artifact, which is for looking at: where Prefect does not take it the run goes on."""
    try:
        create_markdown_artifact(key=key, markdown=redact(markdown), description=description)
    except TransportError:
        pass  # its server is gone, which is told at the end
    except Exception as error:
        get_run_logger().warning("Prefect does not take the artifact %s (%s)", key, error)


def _run_stage(run: Run, spec: StageSpec, force: bool) -> None:
    @task(
        name=spec.name,
        task_run_name=spec.name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=1,
        retry_delay_seconds=1,
        retry_condition_fn=_retry_helps,
    )
    def stage() -> State[Any]:
        try:
            outcome = run.stage(spec, force)
        except (ThawError, StageFailed) as error:
            return _failed(error)
        finally:
            summary = gate_summary(spec)
            if summary:
                _show("gate", summary, "What the data gate found")
        return Completed(name="Completed" if outcome == "ran" else "Cached", message=outcome)

    state = stage(return_state=True)
    if not state.is_completed():
        raise state.result(raise_on_failure=False)


def _failed(error: Exception) -> State[Any]:
    """A failed state with the error's own words: raised, Prefect would print its traceback."""
    message = error.sentence if isinstance(error, ThawError) else str(error)
    return Failed(message=redact(message), data=error)


def _retry_helps(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """A process that was killed may have memory enough the next time; a wrong input stays wrong."""
    return isinstance(state.result(raise_on_failure=False), StageKilled)
