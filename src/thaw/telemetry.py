"""No library of thaw's reports home. Imported before any of them."""

import os

_SWITCHES = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
}


def switch_off() -> None:
    """Turn the telemetry of DVC, MLflow, Prefect and Great Expectations off, here and in child processes."""
    os.environ.update(_SWITCHES)
