"""Addresses of Prefect's pages that lead from a run's report: the run, and the form that is filled in with its parameters."""

from collections.abc import Mapping
from typing import Any

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.utilities.urls import url_for

from flows.form import form_link


def prefect_links(deployment: str, flow_run_id: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Title to address: Prefect's page of a run, and where the project is deployed its form.

    Args:
        deployment: `flow/name` of the project's.
        params: the run's parameters by dotted key, those that are to be in the form.
    """
    links = {"This run in Prefect": url_for("flow-run", flow_run_id)}
    deployment_id = _find(deployment)
    if deployment_id:
        links["Run again with these parameters"] = form_link(url_for("deployment", deployment_id) or "", params)
    return {title: url for title, url in links.items() if url}


def _find(deployment: str) -> str:
    """The id of a deployment; empty where the server has none, does not say, or is gone, which costs no second try."""
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
            return str(client.read_deployment_by_name(deployment).id)
    except (PrefectException, HTTPError, RuntimeError):  # the last: it is of another version
        return ""
