"""How many faults the tests would see: `make mutants`.

One small fault at a time is put into a copy of the project's source (DeMillo, Lipton and Sayward, Computer 11(4), 1978, pages
34 to 41), and the tests that enter the changed function run on it. A mutant that no test sees is printed: a test is missing, or
the change makes no difference.

Home-made because mutmut forks after TensorFlow has worked, which hangs, and cosmic-ray starts Python for each mutant, which
costs ten seconds with TensorFlow. Here each mutant is forked from a process that has loaded TensorFlow and run nothing.
"""

import argparse
import ast
import contextlib
import copy
import importlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.entries import Entries, record, run_pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("training", "models", "evaluation", "splitting")
_SWAPS: dict[type[ast.AST], Any] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
# Arguments that change nothing while all is well.
_SAFEGUARDS = ("strict", "exist_ok", "parents", "frozen")
# Arguments of Matplotlib's that change how something looks and not what it shows.
_LOOKS = ("figsize", "alpha", "dpi")
# How much time or memory something may take at once: one more is as right, and no result depends on it.
_BUDGET = re.compile(r"_(SECONDS|BYTES|CELLS|IMAGES|NODES)$")
# Loaded before the fork; none of them does anything by being loaded.
_LOADED = (
    "pytest",
    "tensorflow",
    "keras",
    "sklearn.metrics",
    "pandas",
    "pyarrow.parquet",
    "matplotlib.pyplot",
    "scipy.stats",
    "cv2",
    "pydantic",
)
_PATIENCE_SECONDS, _PATIENCE = 60, 5
"""A mutant hangs that takes so many seconds and so many times what its tests take on sound source."""
_KILLED, _HANGS, _SURVIVED, _NO_TEST = "killed", "hangs", "survived", "untested"


@dataclass(frozen=True)
class Mutant:
    """A changed module: its path below `src/thaw`, the line, that of the function's `def` (0: none), and what is there now."""

    module: str
    line: int
    function: int
    before: str
    after: str
    source: str


def mutants_of(path: Path, module: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    tree = ast.parse(path.read_text())
    ignored = _ignored(tree)
    nodes: list[Any] = [node for node in ast.walk(tree) if id(node) not in ignored]
    for node in nodes:
        for changed in _changes(node):
            twin = _replaced(tree, node, changed)
            before, after = ast.unparse(node), ast.unparse(changed)
            yield Mutant(module, node.lineno, _function_of(tree, node), before, after, ast.unparse(twin))


def _ignored(tree: ast.Module) -> set[int]:
    """What no test should hold: annotations, what is said in logs and errors and when, looks, budgets, imports of types."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation:
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            found += [node.returns] if node.returns else []
            found += node.decorator_list
        elif _is_said(node) or _is_free(node):
            found.append(node)
    return {id(inner) for node in found for inner in ast.walk(node)}


def _function_of(tree: ast.Module, node: ast.AST) -> int:
    """The line of the innermost `def` that a node lies in, 0 outside of all."""
    return max(
        (
            function.lineno
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef) and any(inner is node for inner in ast.walk(function))
        ),
        default=0,
    )


def _is_said(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).startswith(("_log.", "ThawError", "warnings."))
    if isinstance(node, ast.If):
        inner = [*node.body, *node.orelse]
        only_says = all(isinstance(each, ast.Expr) and _is_said(each.value) for each in inner)
        return only_says or ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.JoinedStr)


def _is_free(node: ast.AST) -> bool:
    """Whether another value would be as right."""
    if isinstance(node, ast.Assign):
        return _BUDGET.search(ast.unparse(node.targets[0])) is not None
    return isinstance(node, ast.keyword) and node.arg in (*_SAFEGUARDS, *_LOOKS)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPS:
        yield ast.Compare(node.left, [_SWAPS[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in _SWAPS:
        yield ast.BinOp(node.left, _SWAPS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(_SWAPS[type(node.op)](), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Return) and node.value and not isinstance(node.value, ast.Constant):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)


def _replaced(tree: ast.Module, node: ast.AST, changed: ast.AST) -> ast.Module:
    """A copy of `tree` with `changed` in the place of `node`."""
    twin = copy.deepcopy(tree)
    for original, copied in zip(ast.walk(tree), ast.walk(twin), strict=True):
        for field, value in ast.iter_fields(original):
            if value is node:
                setattr(copied, field, changed)
                return twin
            if isinstance(value, list) and any(item is node for item in value):
                getattr(copied, field)[[item is node for item in value].index(True)] = changed
                return twin
    raise AssertionError("no such node")


def outcome_of(root: Path, files: list[list[str]], seconds: float) -> str:
    """Run the tests file by file, each in a fork of this process; a mutant that hangs is killed as one that fails is."""
    end = time.monotonic() + seconds
    for tests in files:
        outcome = _outcome_of_file(root, tests, end)
        if outcome != _SURVIVED:
            return outcome
    return _SURVIVED if files else _NO_TEST


def _outcome_of_file(root: Path, tests: list[str], end: float) -> str:
    pid = os.fork()
    if pid == 0:
        os._exit(run_pytest(root, tests, Path(os.devnull)))
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return _SURVIVED if status == 0 else _KILLED
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return _HANGS


def main() -> None:
    """Print each survivor and the share of mutants killed, by package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "places", nargs="*", default=PACKAGES, help="models, or models/graph.py, or models/graph.py:34"
    )
    parser.add_argument("--sample", type=int, default=100, help="how many mutants, taken at random")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    for name in _LOADED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "thaw")
        ignored = shutil.ignore_patterns(
            ".venv", ".git", ".thaw", ".dvc", "mlruns", "__pycache__", "raw", "views"
        )
        shutil.copytree(ROOT, root, ignore=ignored, symlinks=True)
        packages = sorted({place.split("/")[0] for place in options.places})
        package_dir = root / "src" / "thaw"
        mutants = [
            mutant
            for name in packages
            for path in sorted(package_dir.glob(f"{name}/**/*.py"))
            for mutant in mutants_of(path, path.relative_to(package_dir).as_posix())
            if any(f"{mutant.module}:{mutant.line}:".startswith(_bounded(place)) for place in options.places)
        ]
        sample = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
        entries = record(root, packages, _tests_of(root, packages), Path(folder))
        _report(root, sample, entries, len(mutants))


def _bounded(place: str) -> str:
    """What the address of a mutant begins with that lies in a package, a module or a line."""
    return place + (":" if ".py" in place else "/")


def _tests_of(root: Path, packages: list[str]) -> list[str]:
    """The test files that name one of the packages, or a stage."""
    names = [f"thaw.{name}" for name in (*packages, "stages")]
    paths = sorted([*root.glob("tests/code/test_*.py"), *root.glob("tests/model/test_*.py")])
    return [path.relative_to(root).as_posix() for path in paths if any(n in path.read_text() for n in names)]


def _report(root: Path, sample: list[Mutant], entries: Entries, of: int) -> None:
    counts: dict[str, list[int]] = {}
    for number, mutant in enumerate(sample, 1):
        path = root / "src" / "thaw" / mutant.module
        original = path.read_text()
        path.write_text(mutant.source)
        tests = entries.tests_for(mutant.module, mutant.function)
        planned = sum(entries.seconds.get(test, 0.0) for file in tests for test in file)
        outcome = outcome_of(root, tests, _PATIENCE_SECONDS + _PATIENCE * planned)
        path.write_text(original)
        killed = counts.setdefault(mutant.module.split("/")[0], [0, 0])
        killed[0] += outcome in (_KILLED, _HANGS)
        killed[1] += 1
        told = f"{mutant.module}:{mutant.line}: {mutant.before} -> {mutant.after}"
        print(f"{number}/{len(sample)} {outcome} {told}", flush=True)
    total = [sum(column) for column in zip(*counts.values(), strict=True)]
    for package, (killed, count) in [*sorted(counts.items()), (f"all, of {of}", total)]:
        print(f"{package}: {killed} of {count} killed, {killed / count:.0%}")


if __name__ == "__main__":
    main()
