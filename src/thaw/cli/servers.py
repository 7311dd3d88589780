"""`thaw ui` and `thaw deploy`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from thaw.addresses import LOOPBACK, answers, free_port, is_every, is_loopback, own_addresses, server_url
from thaw.cli import app
from thaw.cli.run import execute_flow, flow_environment
from thaw.errors import ThawError
from thaw.files import write_json
from thaw.prefect_pages import find_deployment, form_page
from thaw.processes import start_supervised
from thaw.progress import showing
from thaw.project import find_root
from thaw.redaction import redact
from thaw.tracking.links import known_experiment, runs_page

_START_SECONDS = 120
_LOOK_SECONDS = 3
_FORM = "start a run with other parameters"
_SERVED = ("http://", "https://", "databricks")


@dataclass(frozen=True)
class _Server:
    """One that `thaw ui` has started."""

    name: str
    host: str
    port: int
    health: str
    log_path: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        own = ("::1" if ":" in self.host else LOOPBACK) if is_every(self.host) else self.host
        return server_url(own, self.port)

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not answers(self.url + self.health):
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(
                    self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
                )
                raise ThawError(f"{self.url} does not answer:\n{tail}", f"The whole log is {self.log_path}.")
            time.sleep(0.3)

    def stop(self) -> None:
        self.process.terminate()


@app.command()
def ui(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on, 0.0.0.0 for all of this machine's; the servers know no passwords."
        ),
    ] = LOOPBACK,
    mlflow_port: Annotated[
        int, typer.Option(min=1, max=65535, help="MLflow's port; the next free one where it is taken.")
    ] = 5000,
    prefect_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Prefect's port; the next free one where it is taken.")
    ] = 4200,
    open_pages: Annotated[bool, typer.Option("--open", help="Open the table of runs in the browser.")] = False,
) -> None:
    """Start MLflow's and Prefect's servers, print the pages that one wants of them, and stop them with Ctrl-C.

    Of MLflow that is the table of runs, by test accuracy, with the parameters in which they differ. Of Prefect it is the form
    that starts a run with other parameters, once `thaw deploy` serves the project in another terminal; until then its runs.
    `thaw runs NUMBER` prints the form filled in with a run's parameters.

    Where MLFLOW_TRACKING_URI names a server, that one is MLflow's.

    [bold]Examples[/bold]

      thaw ui
      thaw ui --open
      thaw ui --mlflow-port 5001
      thaw ui --host 0.0.0.0
    """
    root = find_root()
    state = root / ".thaw" / "ui.json"
    servers: list[_Server] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        named = os.environ.get("MLFLOW_TRACKING_URI", "")
        elsewhere = redact(named) if named.startswith(_SERVED) else ""
        if not elsewhere:
            servers.append(_start_mlflow(root, host, free_port(host, mlflow_port)))
        servers.append(_start_prefect(root, host, free_port(host, prefect_port)))
        with showing("starting the servers"):
            for server in servers:
                server.wait_until_up()
        urls = {"mlflow": elsewhere, **{server.name: server.url for server in servers}}
        write_json(state, urls)
        experiment_id = known_experiment(root)
        deployment_id = find_deployment(root, f"{servers[-1].url}/api")
        _tell(host, servers, elsewhere, experiment_id, deployment_id)
        if open_pages:
            webbrowser.open(_shown(urls["mlflow"], experiment_id))
        _wait(root, servers, deployment_id)
        raise ThawError("a server ended by itself", f"Its log is in {servers[0].log_path.parent}.")
    except KeyboardInterrupt:
        typer.echo("stopped")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        state.unlink(missing_ok=True)
        for server in servers:
            server.stop()
        for server in servers:
            server.process.wait(20)


def _wait(root: Path, servers: list[_Server], deployment_id: str) -> None:
    """Wait until a server ends, and say where the form is once `thaw deploy` serves it."""
    looked_at = time.monotonic()
    while all(server.process.poll() is None for server in servers):
        time.sleep(0.5)
        if not deployment_id and time.monotonic() - looked_at > _LOOK_SECONDS:
            looked_at, deployment_id = time.monotonic(), find_deployment(root, f"{servers[-1].url}/api")
            if deployment_id:
                typer.echo(f"Prefect  {form_page(servers[-1].url, deployment_id, {})}   {_FORM}")


def _tell(host: str, servers: list[_Server], elsewhere: str, experiment_id: str, deployment_id: str) -> None:
    """Print where the pages are."""
    if elsewhere:
        typer.echo(f"MLflow   {_shown(elsewhere, experiment_id)}   compare runs")
    for server in servers:
        for address in own_addresses(host):
            url = server_url(address, server.port)
            if server.name == "mlflow":
                typer.echo(f"MLflow   {runs_page(url, experiment_id)}   compare runs")
            elif deployment_id:
                typer.echo(f"Prefect  {form_page(url, deployment_id, {})}   {_FORM}")
            else:
                typer.echo(f"Prefect  {url}   watch runs; `thaw deploy` adds the form that starts them")
    if not is_loopback(host):
        typer.echo(
            "These servers know no passwords: whoever reaches this machine can read runs and trigger them."
        )
    typer.echo(
        "Ctrl-C stops what was started. `thaw run` and `thaw deploy` use this Prefect server while it is up."
    )


def _shown(elsewhere: str, experiment_id: str) -> str:
    """The table of runs on another's MLflow server; the address as it is, where its pages are not at it."""
    return runs_page(elsewhere.rstrip("/"), experiment_id) if elsewhere.startswith("http") else elsewhere


@app.command()
def deploy(
    cron: Annotated[str | None, typer.Option(help='A schedule, such as "0 6 * * *".')] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Start a run when data/raw changes.")] = False,
) -> None:
    """Serve the pipeline to Prefect, so that it is triggered from there. One run at a time; the rest wait.

    [bold]Examples[/bold]

      thaw deploy
      thaw deploy --cron "0 6 * * *" --watch
      prefect deployment run thaw/NAME -p overrides='{"fine_tune.learning_rate": 5e-6}'

    NAME is the project's, which is printed. A run that is triggered with changed parameters works in a copy of the project,
    which stays as it is, unless it is told to apply them.
    """
    execute_flow(find_root(), ["serve", json.dumps({"cron": cron, "watch": watch})])


def _start_mlflow(root: Path, host: str, port: int) -> _Server:
    from thaw.tracking.address import creation_lock, database_path, is_own, tracking_uri
    from thaw.tracking.database import create_database

    if is_own(root):
        with showing("opening MLflow's database"):
            create_database(database_path(root), creation_lock(root))
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    names = [*own_addresses(host), "localhost", LOOPBACK, "::1"] + (
        [socket.gethostname()] if is_every(host) else []
    )
    addresses = [server_url(name, port) for name in dict.fromkeys(names)]
    environment = {
        **os.environ,
        # Not on the command line, which every user of the machine sees: it may hold a password.
        "MLFLOW_BACKEND_STORE_URI": tracking_uri(root),
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": (root / "mlruns" / "artifacts").as_uri(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(address.removeprefix("http://") for address in addresses),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(addresses),
    }
    return _start("mlflow", root, host, port, "/health", command, environment)


def _start_prefect(root: Path, host: str, port: int) -> _Server:
    command = [sys.executable, "-m", "flows.server", host, str(port)]
    environment = {**flow_environment(root), "PREFECT_API_URL": f"{server_url(host, port)}/api"}
    return _start("prefect", root, host, port, "/api/health", command, environment)


def _start(
    name: str, root: Path, host: str, port: int, health: str, command: list[str], environment: dict[str, str]
) -> _Server:
    log_path = root / ".thaw" / "logs" / f"{name}.txt"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        return _Server(name, host, port, health, log_path, start_supervised(command, environment, log))
