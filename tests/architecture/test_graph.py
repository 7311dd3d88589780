"""`dvc.yaml`, `params.yaml` and the stages agree, by name and by dependency."""

import ast
from pathlib import Path

import pytest

from thaw.params import Params, load_params
from thaw.params.__main__ import render_markdown, render_yaml
from thaw.versioning import Books, StageSpec

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
# The base says how errors look and where files lie; parameters are dependencies of their own. None changes an output.
BASE = (
    "addresses.py",
    "errors.py",
    "files.py",
    "trees.py",
    "project.py",
    "processes.py",
    "redaction.py",
    "telemetry.py",
    "devices.py",
    "params/",
    "__init__.py",
)
SPECS = Books(ROOT).stages()


def module_file(name: str) -> Path | None:
    path = SRC / Path(*name.split("."))
    return (
        path / "__init__.py"
        if path.is_dir()
        else path.with_suffix(".py")
        if path.with_suffix(".py").exists()
        else None
    )


def imports_of(path: Path) -> set[Path]:
    """The files of thaw that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {file for name in names if name.startswith("thaw") and (file := module_file(name))}
    return found


def used_by(stage: str) -> set[str]:
    """The source files that a stage uses, directly or through another, relative to `src/thaw`."""
    todo, seen = [SRC / "thaw" / "stages" / f"{stage}.py"], set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += imports_of(path)
    names = {str(path.relative_to(SRC / "thaw")) for path in seen}
    return {name for name in names if not name.startswith(BASE) and name != "stages/__init__.py"}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_stage_depends_on_the_source_files_it_uses(spec: StageSpec) -> None:
    declared = [source.removeprefix("src/thaw/") for source in spec.sources]
    used = used_by(spec.name)
    missing = [
        name
        for name in used
        if not any(name == source or name.startswith(f"{source}/") for source in declared)
    ]
    idle = [
        source
        for source in declared
        if not any(name == source or name.startswith(f"{source}/") for name in used)
    ]
    assert (sorted(missing), idle) == ([], [])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_stage_is_a_module_a_function_and_a_section(spec: StageSpec) -> None:
    path = SRC / "thaw" / "stages" / f"{spec.name}.py"
    functions = [
        node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    function = next(node for node in functions if node.name == spec.name)
    arguments = {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]}
    available = {
        "params",
        "scratch_dir",
        *spec.inputs,
        *spec.outputs,
        *(key for key in spec.keys if key != spec.name),
    }
    assert arguments <= available
    assert set(spec.outputs) <= arguments, "an output that the stage is not told of"
    assert spec.name in spec.keys
    assert ast.get_docstring(function)


def test_params_yaml_and_its_page_are_as_written_from_the_defaults() -> None:
    assert load_params(ROOT / "params.yaml") == Params()
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == render_yaml()
    assert (ROOT / "docs" / "params.md").read_text(encoding="utf-8") == render_markdown()


def test_each_stage_runs_the_same_command() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    for spec in SPECS:
        assert f"cmd: PYTHONPATH=src python -m thaw stage {spec.name}\n" in text
