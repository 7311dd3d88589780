"""What MLflow shows of several runs at first: views of thaw's own, kept with the experiment as MLflow keeps shared views.

`thaw` is the table of runs, `thaw-compare` the newest runs side by side.

MLflow's page reads a shared view from the experiment's tag `mlflow.sharedViewState.<key>` where its address says
`viewStateShareKey=<key>`. That is how its "Share" button works, and no published interface: tests/e2e/test_mlflow_pages.py
holds it against the locked version. Where a later one reads it no more, the address opens MLflow's own table.
"""

import base64
import json
import time
import zlib
from collections.abc import Iterable, Sequence

VIEW_KEY = "thaw"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
COMPARISON_KEY = "thaw-compare"
COMPARISON_TAG = f"mlflow.sharedViewState.{COMPARISON_KEY}"
_ACCURACY = "metrics.`test/accuracy`"
_ACCURACY_PIXELS = 105
_COLUMN_PIXELS = 150
_CARD_PIXELS = 230
_STANDING = (
    "fine_tune.learning_rate",
    "fine_tune.epochs",
    "fine_tune.strategy",
    "model.architecture",
    "augment.views",
    "train_frozen.learning_rate",
    "train_frozen.epochs",
)
_MOST_CHANGED = 6
_PIPELINE_RUNS = "tags.`thaw.run` = 'pipeline'"
_SECTION = "thaw"


def view_columns(changed: Iterable[str] = ()) -> list[str]:
    """MLflow's columns: the result, the parameters in which runs differ, then those that people change."""
    params = dict.fromkeys([*list(changed)[:_MOST_CHANGED], *_STANDING])
    return [_ACCURACY, *(f"params.`{name}`" for name in params)]


def encode_view(columns: Sequence[str]) -> str:
    """A view of pipeline runs, the best test accuracy first, as MLflow packs it: the same text for the same columns."""
    return _pack(
        orderByKey=_ACCURACY,
        selectedColumns=list(columns),
        columnOrder=list(columns),
        columnWidths=dict.fromkeys(columns, _COLUMN_PIXELS) | {_ACCURACY: _ACCURACY_PIXELS},
    )


def encode_comparison(run_ids: Sequence[str]) -> str:
    """A view of runs side by side: the parameters, then the metrics, in which they differ; all of a single run.

    Args:
        run_ids: the runs, the one that the others are held against first.
    """
    charts = [
        _differences("parameters", "Parameters", run_ids),
        _differences("metrics", "Model metrics", run_ids),
    ]
    section = {"uuid": _SECTION, "name": "Differences", "display": True, "isReordered": True}
    section |= {"columns": 1, "cardHeight": _CARD_PIXELS}
    return _pack(
        orderByKey="attributes.start_time",
        # Not by its lists of runs that are shown and hidden, which the page passes over.
        searchFilter=f"attributes.run_id IN ({', '.join(repr(run_id) for run_id in run_ids)})",
        runListHidden=True,
        compareRunCharts=charts,
        compareRunSections=[section],
        isAccordionReordered=True,
    )


def _differences(uuid: str, group: str, run_ids: Sequence[str]) -> dict[str, object]:
    return {
        "uuid": f"{_SECTION}-{uuid}",
        "type": "DIFFERENCE",
        "runsCountToCompare": 10,
        "metricSectionId": _SECTION,
        "deleted": False,
        "isGenerated": False,
        "chartName": group,
        "displayName": group,
        "compareGroups": [group],
        "showChangeFromBaseline": group != "Parameters",
        "showDifferencesOnly": len(run_ids) > 1,
        "baselineColumnUuid": run_ids[0],
    }


def _pack(**own: object) -> str:
    """A view's state, as MLflow packs it; `own` is what differs from its defaults."""
    state = {
        "searchFilter": _PIPELINE_RUNS,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [_ACCURACY],
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_10_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    packed = zlib.compress(json.dumps(state | own).encode(), 9)
    return f"deflate;{base64.b64encode(packed).decode()}"


def renewed_view(kept: str, state: str, name: str = VIEW_KEY) -> str | None:
    """The tag's new text; None where the one that is kept shows the same.

    Args:
        kept: the tag's text; empty where there is none.
        state: as `encode_view` and `encode_comparison` give it.
    """
    try:
        before = json.loads(kept or "{}")
    except ValueError:
        before = {}
    now = time.time_ns() // 1_000_000
    if before.get("state") == state:
        return None
    view = {"name": name, "createdAt": before.get("createdAt", now), "updatedAt": now, "state": state}
    return json.dumps(view)
