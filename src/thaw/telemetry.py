"""No library of thaw's reports home, and none asks a proxy for this machine. Imported before any of them."""

import os

_SWITCHES = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def switch_off() -> None:
    """Turn the telemetry of DVC, MLflow, Prefect, Great Expectations and Ray off, here and in child processes."""
    os.environ.update(_SWITCHES)


def bypass_proxy_for_loopback() -> None:
    """Have servers on this machine reached directly, here and in child processes, where the environment names a proxy."""
    proxied = [name for name in os.environ if name.lower().endswith("_proxy") and name.lower() != "no_proxy"]
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    if not proxied or named == "*":
        return
    hosts = [host.strip() for host in named.split(",") if host.strip()]
    direct = ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
    os.environ.update({"NO_PROXY": direct, "no_proxy": direct})
