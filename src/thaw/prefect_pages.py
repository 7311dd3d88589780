"""Addresses of Prefect's pages: the project's deployment, and its form filled in with a run's parameters."""

import json
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from thaw.project import project_name
from thaw.redaction import redact

FLOW = "thaw"
ASKED = (
    "fine_tune.learning_rate",
    "fine_tune.epochs",
    "fine_tune.strategy",
    "fine_tune.from_layer",
    "train_frozen.learning_rate",
    "train_frozen.epochs",
    "model.architecture",
    "augment.views",
    "seed",
)
"""The parameters that the form has a field for; every other key of `params.yaml` goes into its mapping `overrides`."""
_ANSWER_SECONDS = 4.0


def field_name(key: str) -> str:
    """The form's name of a parameter: names of fields have no dots."""
    return key.replace(".", "__")


def server_pages(api_url: str) -> str:
    """Where the pages of the Prefect server at `api_url` are, without a user's name or password."""
    named = os.environ.get("PREFECT_UI_URL") or api_url.rstrip("/").removesuffix("/api")
    return redact(named).rstrip("/")


def deployment_page(base: str, deployment_id: str) -> str:
    """The deployment's page: its runs, and the button that opens the form.

    Args:
        base: where the server's pages are (`server_pages`).
        deployment_id: as `find_deployment` gives it.
    """
    return f"{base}/deployments/deployment/{deployment_id}"


def form_page(base: str, deployment_id: str, values: Mapping[str, Any]) -> str:
    """The deployment's form, filled in: "run again with".

    Args:
        base: where the server's pages are (`server_pages`).
        deployment_id: as `find_deployment` gives it.
        values: of parameters of `params.yaml`, by dotted key, in their own type: 0.001 and not "0.001".
    """
    change = {field_name(key): value for key, value in values.items() if key in ASKED}
    overrides = {key: value for key, value in values.items() if key not in ASKED}
    filled = {name: given for name, given in (("change", change), ("overrides", overrides)) if given}
    page = f"{deployment_page(base, deployment_id)}/run"
    text = json.dumps(filled, ensure_ascii=False, separators=(",", ":"))
    return f"{page}?parameters={quote(text, safe='')}" if filled else page


def find_deployment(home: Path, api_url: str) -> str:
    """The id of the project's deployment on the Prefect server at `api_url`.

    Empty where `thaw deploy` has not served there yet, or where the server does not say.
    """
    name = quote(project_name(home), safe="")
    try:
        with urllib.request.urlopen(f"{api_url}/deployments/name/{FLOW}/{name}", timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
            return str(json.load(answer)["id"])
    except (OSError, ValueError, KeyError):
        return ""
