"""Addresses of MLflow's pages, as they open on what people want: its page for training, thaw's table of runs."""

import os
from pathlib import Path

from thaw.files import read_json
from thaw.redaction import redact
from thaw.tracking.address import address_digest
from thaw.tracking.outbox import all_outboxes
from thaw.tracking.view import COMPARISON_KEY, VIEW_KEY

_DEFAULT_URL = "http://127.0.0.1:5000"
# Without it MLflow opens on its pages for GenAI.
_WORKFLOW = "workflowType=machine_learning"


def pages_url(home: Path) -> str:
    """Where MLflow's pages are: on the server that is named, else on that of `thaw ui`, running or to be."""
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    if named.startswith("http"):
        return redact(named).rstrip("/")
    state = home / ".thaw" / "ui.json"
    return str(read_json(state)["mlflow"]) if state.exists() else _DEFAULT_URL


def run_page(base: str, experiment_id: str, run_id: str) -> str:
    """A run's page."""
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}?{_WORKFLOW}"


def runs_page(base: str, experiment_id: str) -> str:
    """The table of runs; MLflow's list of experiments where no experiment is known yet."""
    if not experiment_id:
        return f"{base}/#/experiments?{_WORKFLOW}"
    return f"{base}/#/experiments/{experiment_id}/runs?{_WORKFLOW}&viewStateShareKey={VIEW_KEY}"


def comparison_page(base: str, experiment_id: str) -> str:
    """The newest run that has a result beside the one before it and the best: what differs."""
    view = f"viewStateShareKey={COMPARISON_KEY}&compareRunsMode=CHART"
    return f"{base}/#/experiments/{experiment_id}/runs?{_WORKFLOW}&{view}"


def known_experiment(home: Path) -> str:
    """The id of the experiment that the newest run went to, without asking MLflow; empty before the first."""
    address = address_digest(home)
    for outbox in reversed(all_outboxes(home)):
        if outbox.is_for(address) and "experiment" in outbox.run_ids():
            return outbox.run_ids()["experiment"]
    return ""
