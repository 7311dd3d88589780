"""`dvc.yaml`, `params.yaml` and the stages agree, by name and by dependency."""

import ast
import importlib
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from thaw.params import Params, load_params
from thaw.params.rendering import render_markdown, render_yaml
from thaw.versioning import DvcRepo, StageSpec

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
# The base says how errors look and where files lie; parameters are dependencies of their own. None changes an output.
BASE = (
    "addresses.py",
    "compute/",
    "errors.py",
    "files.py",
    "fingerprint.py",
    "trees.py",
    "project.py",
    "processes.py",
    "redaction.py",
    "telemetry.py",
    "devices.py",
    "params/",
    "__init__.py",
)
SPECS = DvcRepo(ROOT).stages()


def module_file(name: str) -> Path | None:
    """The file of a module of thaw; None where the name is no module's."""
    path = SRC / Path(*name.split("."))
    if path.is_dir():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").exists() else None


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def modules_in(node: ast.AST) -> set[str]:
    """The modules of thaw that the code below `node` imports, in functions too; those for types alone left out."""
    if is_for_types_only(node):
        return {name for child in node.orelse for name in modules_in(child)}  # type: ignore[attr-defined]
    names = {name for child in ast.iter_child_nodes(node) for name in modules_in(child)}
    if isinstance(node, ast.Import):
        names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
        assert not node.level, "relative imports are not followed here"
        names.add(node.module)
        for alias in node.names:
            name, owner = f"{node.module}.{alias.name}", module_file(node.module)
            if module_file(name):
                names.add(name)
            elif owner and owner.name == "__init__.py":
                lazy = "def __getattr__(" in owner.read_text(encoding="utf-8")
                assert not lazy, f"{name} is looked up when it is used: import it from its module"
    return {name for name in names if name.split(".")[0] == "thaw"}


@cache
def files_imported_by(path: Path) -> set[Path]:
    """The files that run when `path` is imported or its functions are called: modules, and the packages they lie in."""
    names = modules_in(ast.parse(path.read_text(encoding="utf-8")))
    parents = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    return {file for name in parents if (file := module_file(name))}


@cache
def used_by(stage: str) -> set[str]:
    """The source files that a stage uses, directly or through another, relative to `src/thaw`; the base left out."""
    todo, seen = [SRC / "thaw" / "stages" / f"{stage}.py"], set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += files_imported_by(path)
    names = {str(path.relative_to(SRC / "thaw")) for path in seen}
    return {name for name in names if not name.startswith(BASE) and name != "stages/__init__.py"}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_stage_depends_on_exactly_the_source_files_it_uses(spec: StageSpec) -> None:
    declared = set()
    for source in spec.sources:
        path = ROOT / source
        assert path.exists(), f"{source} is declared and not there"
        declared |= set(path.rglob("*.py")) if path.is_dir() else {path}
    names, used = {str(path.relative_to(SRC / "thaw")) for path in declared}, used_by(spec.name)
    assert (sorted(used - names), sorted(names - used)) == ([], []), "(missing, idle)"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_no_stage_imports_by_a_name_that_is_put_together(spec: StageSpec) -> None:
    """What is imported so would be seen by no dependency. The lazy names of `thaw.models` are for those who are no stage."""
    used = used_by(spec.name) - {"models/__init__.py"}
    assert not [name for name in used if "import_module(" in (SRC / "thaw" / name).read_text(encoding="utf-8")]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_stage_is_a_module_a_function_and_a_section(spec: StageSpec) -> None:
    path = SRC / "thaw" / "stages" / f"{spec.name}.py"
    functions = [
        node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    function = next(node for node in functions if node.name == spec.name)
    arguments = {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]}
    shared = {key for key in spec.keys if key != spec.name}
    assert arguments <= {"params", "compute", "scratch_dir", "inputs", "outputs", *shared}
    assert arguments >= {"params", "inputs", "outputs", *shared}, "a dependency that the stage is not told of"
    assert spec.name in spec.keys
    assert ast.get_docstring(function)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_stage_s_inputs_and_outputs_are_the_paths_of_dvc_yaml(spec: StageSpec) -> None:
    module = importlib.import_module(f"thaw.stages.{spec.name}")
    for argument, declared in (("inputs", spec.inputs), ("outputs", spec.outputs)):
        kind = getattr(module, spec.name.title().replace("_", "") + argument.title())
        assert getattr(module, spec.name).__annotations__[argument] is kind
        assert kind.__dataclass_params__.frozen
        assert [field.name for field in fields(kind) if field.type is not Path] == []
        assert {field.name for field in fields(kind)} == set(declared)


def test_params_yaml_and_its_page_are_as_written_from_the_defaults() -> None:
    assert load_params(ROOT / "params.yaml") == Params()
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == render_yaml()
    assert (ROOT / "docs" / "params.md").read_text(encoding="utf-8") == render_markdown()


def test_how_the_work_is_done_is_no_dependency() -> None:
    assert not [spec.name for spec in SPECS if "compute" in spec.keys]


def test_each_stage_runs_the_same_command() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    for spec in SPECS:
        assert f"cmd: PYTHONPATH=src python -m thaw stage {spec.name}\n" in text
