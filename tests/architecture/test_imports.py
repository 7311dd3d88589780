"""Who may import what, beyond what import-linter holds."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "src" / "thaw").rglob("*.py"), *(ROOT / "flows").glob("*.py")])


def imported(path: Path) -> set[str]:
    """The top-level names of all modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    ("library", "owner"),
    [
        ("mlflow", ("src/thaw/tracking/store.py", "src/thaw/tracking/database.py")),
        ("dvc", "src/thaw/versioning/"),
        ("great_expectations", "src/thaw/gate/checks/suite.py"),
        ("prefect", "flows/"),
    ],
)
def test_a_platform_is_imported_in_one_place(library: str, owner: str | tuple[str, ...]) -> None:
    places = {str(path.relative_to(ROOT)) for path in SOURCES if library in imported(path)}
    assert places, f"nothing imports {library} any more"
    assert {place for place in places if not place.startswith(owner)} == set()


def test_networks_use_keras_only() -> None:
    """Keras on another backend has to stay possible: no TensorFlow in models, heads, losses."""
    places = [
        str(path) for path in (ROOT / "src/thaw/models").rglob("*.py") if "tensorflow" in imported(path)
    ]
    assert places == []


@pytest.mark.parametrize("command", [["-c", "import thaw"], ["-m", "thaw", "--help"]])
def test_light_commands_load_nothing_heavy(command: list[str]) -> None:
    code = [sys.executable, "-X", "importtime", *command]
    done = subprocess.run(
        code,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": "src", "PATH": ""},
        check=True,
        timeout=60,
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {
        "tensorflow",
        "keras",
        "mlflow",
        "great_expectations",
        "dvc",
        "prefect",
        "pandas",
        "numpy",
    }


def test_no_module_has_grown_out_of_hand() -> None:
    long = {str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := _lines(path)) > 400}
    assert long == {}


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_nothing_is_there_for_tests_alone() -> None:
    """A function, class or constant of a module that no code, example or benchmark speaks of is dead, however well tested."""
    live = {name for path in USERS for name in _spoken_of(path)}
    dead = {f"{path.relative_to(ROOT)}: {name}" for path in SOURCES for name in _defined(path) - live}
    assert dead == set()


USERS = [*SOURCES, *(path for folder in ("examples", "benchmarks") for path in (ROOT / folder).rglob("*.py"))]
CALLED_BY_LIBRARIES = {"_load_pyfunc"}  # by MLflow


def _defined(path: Path) -> set[str]:
    """What a module defines at its top, but for what a decorator registers, or is found by its module's name (a stage)."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not getattr(node, "decorator_list", []):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("__")} - CALLED_BY_LIBRARIES - {path.stem}


def _spoken_of(path: Path) -> set[str]:
    """Names that are read, looked up or imported, or stand as a text (some are found by name); no re-export counts."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and path.name != "__init__.py":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and path.name != "__init__.py":
            names.add(node.value)
    return names
