"""`thaw ui` and `thaw deploy`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from thaw.cli import app
from thaw.cli.run import answers, execute_flow
from thaw.errors import ThawError
from thaw.files import write_json
from thaw.project import find_root

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 120


@app.command()
def ui(
    host: Annotated[
        str, typer.Option(help="Address to listen on; the servers know no passwords.")
    ] = _LOOPBACK,
    mlflow_port: Annotated[
        int, typer.Option(help="MLflow's port; the next free one where it is taken.")
    ] = 5000,
    prefect_port: Annotated[
        int, typer.Option(help="Prefect's port; the next free one where it is taken.")
    ] = 4200,
) -> None:
    """Start MLflow's and Prefect's servers, print their addresses, and stop them with Ctrl-C.

    [bold]Examples[/bold]

      thaw ui
      thaw ui --mlflow-port 5001
    """
    root = find_root()
    mlflow_url = f"http://{host}:{_free_port(host, mlflow_port)}"
    prefect_url = f"http://{host}:{_free_port(host, prefect_port)}"
    logs = root / ".thaw" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    servers = [
        _start(_mlflow_command(root, mlflow_url), logs / "mlflow.txt", {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}),
        _start(
            _prefect_command(prefect_url), logs / "prefect.txt", {"PREFECT_API_URL": f"{prefect_url}/api"}
        ),
    ]
    state = root / ".thaw" / "ui.json"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _wait_until_up(f"{mlflow_url}/health", servers[0], logs / "mlflow.txt")
        _wait_until_up(f"{prefect_url}/api/health", servers[1], logs / "prefect.txt")
        write_json(state, {"mlflow": mlflow_url, "prefect": prefect_url})
        typer.echo(f"MLflow   {mlflow_url}   compare runs\nPrefect  {prefect_url}   watch and trigger runs")
        typer.echo("Ctrl-C stops both. `thaw run` and `thaw deploy` use this Prefect server while it is up.")
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
        raise ThawError("a server ended by itself", f"Its log is in {logs}.")
    except KeyboardInterrupt:
        typer.echo("stopped")
    finally:
        state.unlink(missing_ok=True)
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(20)


@app.command()
def deploy(
    cron: Annotated[str | None, typer.Option(help='A schedule, such as "0 6 * * *".')] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Start a run when data/raw changes.")] = False,
) -> None:
    """Serve the pipeline to Prefect, so that it is triggered from there. One run at a time; the rest wait.

    [bold]Examples[/bold]

      thaw deploy
      thaw deploy --cron "0 6 * * *" --watch
      prefect deployment run thaw/pipeline -p overrides='{"fine_tune.learning_rate": 5e-6}'
    """
    execute_flow(find_root(), ["serve", json.dumps({"cron": cron, "watch": watch})])


def _mlflow_command(root: Path, url: str) -> list[str]:
    host, port = url.removeprefix("http://").rsplit(":", 1)
    (root / "mlruns").mkdir(exist_ok=True)
    return [
        sys.executable, "-m", "mlflow", "server", "--host", host, "--port", port, "--workers", "1",
        "--backend-store-uri", os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlruns' / 'mlflow.db'}",
        "--default-artifact-root", (root / "mlruns" / "artifacts").as_uri(),
    ]  # fmt: skip


def _prefect_command(url: str) -> list[str]:
    host, port = url.removeprefix("http://").rsplit(":", 1)
    return [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", port]


def _start(command: list[str], log_path: Path, extra: dict[str, str]) -> "subprocess.Popen[bytes]":
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    with log_path.open("wb") as log:
        return subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**environment, **extra}
        )


def _wait_until_up(url: str, server: "subprocess.Popen[bytes]", log_path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not answers(url):
        if server.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
            raise ThawError(f"{url} does not answer:\n{tail}", f"The whole log is {log_path}.")
        time.sleep(0.3)


def _free_port(host: str, port: int) -> int:
    for candidate in range(port, port + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return candidate
    raise ThawError(f"no free port from {port} to {port + 49} on {host}", "Name another one.")
