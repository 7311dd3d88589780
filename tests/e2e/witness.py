"""A project whose stages write down what they saw: real flow, DVC, processes, outbox and MLflow around three small functions.

What `dvc.lock` books and what MLflow has can then be held against what a stage's own output says it read.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.e2e.conftest import ROOT, Project

GRAPH = """\
stages:
  validate:
    cmd: PYTHONPATH=src python -m thaw stage validate
    deps: [data/raw, src/thaw/stages/validate.py]
    params: [validate]
    outs: [data/manifest.json]
  split:
    cmd: PYTHONPATH=src python -m thaw stage split
    deps: [data/manifest.json, src/thaw/stages/split.py]
    params: [seed, split]
    outs: [data/parts.json]
  evaluate:
    cmd: PYTHONPATH=src python -m thaw stage evaluate
    deps: [data/raw, data/parts.json, src/thaw/stages/evaluate.py]
    params: [evaluate]
    metrics:
      - reports/metrics.json: {cache: false}
"""
STAGE = """\
import json, time
from dataclasses import dataclass
from pathlib import Path

VERSION = {version}


@dataclass(frozen=True)
class Inputs:
    {input}: Path


@dataclass(frozen=True)
class Outputs:
    {output}: Path


def {name}(params, inputs: Inputs, outputs: Outputs, scratch_dir):
    \"\"\"Write what was read, slowly.\"\"\"
    (scratch_dir / "began").touch()
    files = {{}}
    for path in sorted(inputs.{input}.rglob("*.txt")):  # none, where it is a file
        files[path.name] = path.read_text()
        time.sleep(0.05)
    time.sleep(0.2)
    seen = {{"code": VERSION, "files": files, "value": {value}}}
    outputs.{output}.write_text(json.dumps(seen))
"""
STAGES = {
    "validate": ("raw_dir", "params.limits.max_imbalance", "manifest_path"),
    "split": ("manifest_path", "params.test_fraction", "parts_path"),
    "evaluate": ("raw_dir", "params.threshold", "metrics_path"),
}
KEYS = {
    "validate": "validate.limits.max_imbalance",
    "split": "split.test_fraction",
    "evaluate": "evaluate.threshold",
}
OUTPUTS = {"validate": "data/manifest.json", "split": "data/parts.json", "evaluate": "reports/metrics.json"}


def stage_source(name: str, version: int) -> str:
    """The source of a stage; `version` is what it says it is."""
    read, value, written = STAGES[name]
    return STAGE.format(name=name, version=version, input=read, value=value, output=written)


@dataclass
class Witness(Project):
    """The project, and what is true of it."""

    def write_stage(self, name: str, version: int) -> None:
        """Write the source of a stage; `version` is what it says it is."""
        (self.root / "src" / "thaw" / "stages" / f"{name}.py").write_text(stage_source(name, version))

    def set_param(self, stage: str, value: float) -> None:
        """Change the parameter that a stage writes down, as an editor does."""
        path = self.root / "params.yaml"
        section, *_, key = KEYS[stage].split(".")
        lines, inside = path.read_text().splitlines(), False
        for number, line in enumerate(lines):
            inside = line.startswith(f"{section}:") or (inside and not line[:1].isalpha())
            if inside and line.strip().startswith(f"{key}:"):
                lines[number] = f"{line[: line.index(key)]}{key}: {value}"
        path.write_text("\n".join(lines) + "\n")

    def lock(self) -> dict[str, Any]:
        """The stages of `dvc.lock`; none where `dvc repro` was killed as it wrote the file, which DVC empties first."""
        path = self.root / "dvc.lock"
        return dict((YAML(typ="safe").load(path.read_text()) or {"stages": {}})["stages"]) if path.exists() else {}

    def cached(self, digest: str) -> bytes:
        """What DVC's cache holds under a digest."""
        return (self.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]).read_bytes()

    def check_books(self) -> set[str]:
        """Hold every booked stage against its own output; the digests of data that was judged."""
        judged = set()
        for name, entry in self.lock().items():
            (out,) = entry["outs"]
            seen = self._output(name, out["md5"])
            if seen is None:
                continue
            params = entry["params"]["params.yaml"]
            for key in KEYS[name].split("."):
                params = params[key]
            assert params == seen["value"], f"{name}: booked {KEYS[name]} {params}, ran with {seen['value']}"
            deps = {dep["path"]: dep["md5"] for dep in entry["deps"]}
            source = deps[f"src/thaw/stages/{name}.py"]
            assert source == self._source_digest(name, seen["code"]), f"{name}: booked another source than ran"
            if "data/raw" in deps:
                assert self._is_of(seen, deps["data/raw"]), f"{name}: booked other data than it read"
                if name == "validate":
                    judged.add(deps["data/raw"])
        manifest = self.root / OUTPUTS["validate"]  # the lock may have been removed since
        now = self.data_version()
        if manifest.exists() and self._has(now) and self._is_of(json.loads(manifest.read_text()), now):
            judged.add(now)
        return judged

    def data_version(self) -> str:
        """The digest of the data that `raw.dvc` holds."""
        return str(YAML(typ="safe").load((self.root / "data" / "raw.dvc").read_text())["outs"][0]["md5"])

    def _is_of(self, seen: dict[str, Any], digest: str) -> bool:
        """Whether what a stage saw is the data of a digest; true where DVC's cache does not have it."""
        if not self._has(digest):
            return True
        booked = {row["relpath"].rsplit("/", 1)[-1]: row["md5"] for row in json.loads(self.cached(digest))}
        return booked == {file: md5(text.encode()).hexdigest() for file, text in seen["files"].items()}

    def _has(self, digest: str) -> bool:
        return (self.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]).exists()

    def _output(self, name: str, digest: str) -> dict[str, Any] | None:
        """A booked output: from the workspace, else from the cache; None where an edit removed both."""
        path = self.root / OUTPUTS[name]
        if path.exists() and md5(path.read_bytes()).hexdigest() == digest:
            return dict(json.loads(path.read_text()))
        return dict(json.loads(self.cached(digest))) if self._has(digest) else None

    def _source_digest(self, name: str, version: int) -> str:
        return md5(stage_source(name, version).encode()).hexdigest()


def make_witness(root: Path) -> Witness:
    """A fresh project below `root`, under Git and DVC."""
    for name in ("src", "flows"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
    (root / "dvc.yaml").write_text(GRAPH)
    (root / ".gitignore").write_text("/.thaw/\n/mlruns/\n__pycache__/\n")
    (root / ".dvcignore").write_text("__pycache__\n")
    for number in range(6):
        path = root / "data" / "raw" / f"class{number % 2}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    witness = Witness(root)
    for name in STAGES:
        witness.write_stage(name, 1)
    witness.run("git", "init", "-q")
    witness.dvc("init", "-q")
    witness.dvc("add", "-q", "data/raw")
    witness.run("git", "add", "-A")
    witness.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start")
    return witness


FLOW = """\
import logging, sys
from pathlib import Path
from flows.run import start_run
from thaw.errors import exiting_with_message
from thaw.versioning import preload

if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(message)s")
    with exiting_with_message(), start_run(Path.cwd(), {}, True, "witness", "", logging.getLogger("flow")) as run:
        for spec in run.plan():
            run.stage(spec)
"""
"""What the Prefect flow does, without Prefect's ten seconds."""


def start_flow(project: Witness, **environment: str) -> "subprocess.Popen[str]":
    """The flow's process, at work."""
    script = project.root / ".thaw" / "flow.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(FLOW)
    path = {"PYTHONPATH": f"{project.root}:{project.root / 'src'}"}
    return start(project, [sys.executable, str(script)], **path, **environment)


def start(project: Witness, command: list[str], **environment: str) -> "subprocess.Popen[str]":
    """A command at work in the project."""
    return subprocess.Popen(
        command, cwd=project.root, env=project.environment(**environment), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
