"""The pipeline runs that MLflow holds, and what its pages show of them at first."""

from typing import Any

from thaw.tracking.names import TAG_LIMIT, own_tags, valid_value
from thaw.tracking.summary import accuracy_of, differing_params, summarize, told_by
from thaw.tracking.view import (
    COMPARISON_KEY,
    COMPARISON_TAG,
    VIEW_KEY,
    VIEW_TAG,
    encode_comparison,
    encode_view,
    renewed_view,
    view_columns,
)

NUMBER_TAG = "thaw.number"
_FILTER = "tags.`thaw.run` = 'pipeline'"
_PAGE = 1000
_COMPARED = 200
"""How many of the newest runs a run is told by, beside the best."""


class PipelineRuns:
    """Asks MLflow's client for pipeline runs, and names and describes them.

    Args:
        client: `mlflow.MlflowClient`.
    """

    def __init__(self, client: Any, experiment_id: str) -> None:
        self._client = client
        self._experiment_id = experiment_id

    def newest(self, limit: int = 0) -> list[dict[str, Any]]:
        """The newest runs, newest first: number, id, name, status, start and end (ms), metrics, params, commit and tags.

        Args:
            limit: how many; 0: all.
        """
        return self._search(limit, "attributes.start_time DESC")

    def _search(self, limit: int, order: str) -> list[dict[str, Any]]:
        runs: list[Any] = []
        token = None
        while token != "":
            page = self._client.search_runs(
                [self._experiment_id], _FILTER, max_results=limit or _PAGE, order_by=[order], page_token=token
            )
            runs += page
            token = "" if limit else page.token or ""
        return [_as_dict(run) for run in runs]

    def describe(self, run_id: str) -> None:
        """Give a run that has ended its name and its description, by the runs before it, and show what differs."""
        run = _as_dict(self._client.get_run(run_id))
        newest = self.newest(_COMPARED)
        known = {other["run_id"]: other for other in newest + self._search(1, "metrics.`test/accuracy` DESC")}
        earlier = [other for other in known.values() if other["start_ms"] < run["start_ms"]]
        summary = summarize(run, earlier)
        self._client.update_run(run_id, name=summary.name)
        self._client.set_tag(run_id, "mlflow.note.content", valid_value(summary.description, TAG_LIMIT))
        self.show(newest)
        self._show_beside(run, earlier)

    def told(self, run_id: str) -> tuple[dict[str, Any], str]:
        """A run, as `newest` gives it, and its description (Markdown)."""
        run = self._client.get_run(run_id)
        return _as_dict(run), str(run.data.tags.get("mlflow.note.content", ""))

    def show(self, runs: list[dict[str, Any]]) -> None:
        """Write the table that links open, with a column for each parameter in which `runs` differ, where it is another now."""
        if runs or not self._kept(VIEW_TAG):
            self._renew(VIEW_TAG, encode_view(view_columns(differing_params(runs))), VIEW_KEY)

    def _show_beside(self, run: dict[str, Any], earlier: list[dict[str, Any]]) -> None:
        """Write the comparison that links open: a run that has a result, the one before it, and the best before.

        There is always one: for a view that is not there MLflow opens its pages for GenAI.
        """
        if accuracy_of(run) is not None or not self._kept(COMPARISON_TAG):
            others = told_by(earlier)
            ids = [str(one["run_id"]) for one in (*others[:1], run, *others[1:])]
            self._renew(COMPARISON_TAG, encode_comparison(ids), COMPARISON_KEY)

    def _kept(self, tag: str) -> str:
        return str(self._client.get_experiment(self._experiment_id).tags.get(tag, ""))

    def _renew(self, tag: str, state: str, name: str) -> None:
        view = renewed_view(self._kept(tag), state, name)
        if view:
            self._client.set_experiment_tag(self._experiment_id, tag, view)


def _as_dict(run: Any) -> dict[str, Any]:
    return {
        "number": int(run.data.tags.get(NUMBER_TAG, 0)),
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "start_ms": run.info.start_time,
        "end_ms": run.info.end_time,
        "metrics": dict(run.data.metrics),
        "params": dict(run.data.params),
        "commit": run.data.tags.get("mlflow.source.git.commit", ""),
        "tags": own_tags(run.data.tags),
    }
