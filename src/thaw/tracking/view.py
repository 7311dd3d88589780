"""The table of runs that MLflow shows at first: a view of thaw's own, kept with the experiment as MLflow keeps shared views.

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
_ACCURACY = "metrics.`test/accuracy`"
_ACCURACY_PIXELS = 105
_COLUMN_PIXELS = 150
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


def view_columns(changed: Iterable[str] = ()) -> list[str]:
    """MLflow's columns: the result, the parameters in which runs differ, then those that people change."""
    params = dict.fromkeys([*list(changed)[:_MOST_CHANGED], *_STANDING])
    return [_ACCURACY, *(f"params.`{name}`" for name in params)]


def encode_view(columns: Sequence[str]) -> str:
    """A view of pipeline runs, the best test accuracy first, as MLflow packs it: the same text for the same columns."""
    state = {
        "searchFilter": "tags.`thaw.run` = 'pipeline'",
        "orderByKey": _ACCURACY,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": dict.fromkeys(columns, _COLUMN_PIXELS) | {_ACCURACY: _ACCURACY_PIXELS},
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
    packed = zlib.compress(json.dumps(state).encode(), 9)
    return f"deflate;{base64.b64encode(packed).decode()}"


def renewed_view(kept: str, changed: Iterable[str] = ()) -> str | None:
    """The tag's new text; None where the one that is kept shows the same columns."""
    state = encode_view(view_columns(changed))
    try:
        before = json.loads(kept or "{}")
    except ValueError:
        before = {}
    now = time.time_ns() // 1_000_000
    if before.get("state") == state:
        return None
    view = {"name": "thaw", "createdAt": before.get("createdAt", now), "updatedAt": now, "state": state}
    return json.dumps(view)
