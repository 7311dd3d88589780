"""Addresses of Prefect's pages that lead from a run's report: the run, and the form that is filled in with its parameters."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thaw.prefect_pages import find_deployment, form_page, server_pages


def prefect_links(home: Path, flow_run_id: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Title to address: Prefect's page of a run, and where the project is deployed its form.

    Args:
        params: the run's parameters by dotted key, those that are to be in the form.
    """
    api_url = os.environ.get("PREFECT_API_URL", "")
    if not api_url:
        return {}
    base = server_pages(api_url)
    links = {"This run in Prefect": f"{base}/runs/flow-run/{flow_run_id}"}
    deployment_id = find_deployment(home, api_url)
    return links | ({"Run again with these parameters": form_page(base, deployment_id, params)} if deployment_id else {})
