"""Where a project's runs go: addresses of the tracking store and of the model registry, without MLflow."""

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from thaw.project import project_name
from thaw.tracking.database import database_uri

_NAME = "thaw"


def database_path(home: Path) -> Path:
    """The project's own database."""
    return home.resolve() / "mlruns" / "mlflow.db"


def creation_lock(home: Path) -> Path:
    """What processes lock while they make the project's own database."""
    return home.resolve() / ".thaw" / "mlruns.lock"


def artifacts_dir(home: Path) -> Path:
    """Where the project's own store keeps files."""
    return home.resolve() / "mlruns" / "artifacts"


def own_uri(home: Path) -> str:
    """The address of the project's own SQLite store."""
    return database_uri(database_path(home))


def tracking_uri(home: Path) -> str:
    """`MLFLOW_TRACKING_URI`, else the SQLite store in the project's `mlruns`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or own_uri(home)


def registry_uri(home: Path) -> str:
    """`MLFLOW_REGISTRY_URI`, else the tracking store's address."""
    return os.environ.get("MLFLOW_REGISTRY_URI") or tracking_uri(home)


def is_own(home: Path) -> bool:
    """Whether runs go to the project's own store."""
    uri = tracking_uri(home)
    return uri in (own_uri(home), f"sqlite:///{database_path(home)}")


def is_served(home: Path) -> bool:
    """Whether a server keeps the files too."""
    return tracking_uri(home).startswith(("http:", "https:", "databricks"))


def experiment_name(home: Path) -> str:
    """`MLFLOW_EXPERIMENT_NAME`; else `thaw` in the project's own store, and the project's name in one that others share."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME") or (_NAME if is_own(home) else project_name(home))


def model_name(home: Path) -> str:
    """The registered model's name: `thaw` in the project's own store, else the project's name."""
    own = is_own(home) and registry_uri(home) == tracking_uri(home)
    return _NAME if own else project_name(home)


def address_digest(home: Path) -> str:
    """What tells one tracking address from another, credentials left out; the own store's stays when the project moves."""
    text = "own" if is_own(home) else without_credentials(tracking_uri(home))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_credentials(uri: str) -> str:
    """An address as it may be shown: no user, no password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
