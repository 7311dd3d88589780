"""Which tests enter which function of a copy of the project: no other test can see a fault in it."""

import ast
import os
import sys
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

_RECORDER = """
import os
_seen = set()
def enter(place):
    test = os.environ.get("PYTEST_CURRENT_TEST", "")
    if (place, test) not in _seen:
        _seen.add((place, test))
        with open({path!r}, "a") as file:
            file.write(place + "\\t" + test + "\\n")
"""


@dataclass(frozen=True)
class Entries:
    """What one run of the tests on sound source has shown; a test is named without its parameters."""

    tests_of: dict[str, set[str]]
    """By `module:line` of a `def`: tests, and files whose fixtures enter it; the empty name while tests are collected."""
    seconds: dict[str, float]
    """Of each test, and of each file."""

    def tests_for(self, module: str, function: int) -> list[list[str]]:
        """The tests that enter the function that begins in a line, and the files whose fixtures do; for line 0, what a module
        does when it is imported, the files that enter anything of its package. Those of a file together, the fastest first."""
        tests = self.tests_of.get(f"{module}:{function}", set())
        if not function or "" in tests:
            package = module.split("/")[0]
            found = [tests for place, tests in self.tests_of.items() if place.split("/")[0] == package]
            tests = {_file(test) for test in set[str]().union(*found) if test}
        files = [sorted(each, key=self._seconds) for _, each in groupby(sorted(tests), key=_file)]
        return sorted(files, key=lambda file: sum(map(self._seconds, file)))

    def _seconds(self, test: str) -> float:
        return self.seconds.get(test, 0.0)


class _Clock:
    """A pytest plugin that writes what each test takes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._file.write(f"{report.duration}\t{report.nodeid}\n")
        self._file.flush()


def record(root: Path, packages: list[str], tests: list[str], scratch: Path) -> Entries:
    """Run `tests` of the copy `root` in a fork of this process, with a line that tells of it at the head of each function.

    Raises:
        SystemExit: a test fails on the sound source.
    """
    entered, clock = scratch / "entered", scratch / "seconds"
    entered.touch()
    (root / "src/thaw/_recorder.py").write_text(_RECORDER.format(path=str(entered)))
    originals = {
        path: path.read_text() for name in packages for path in root.glob(f"src/thaw/{name}/**/*.py")
    }
    for path, source in originals.items():
        path.write_text(_telling(source, path.relative_to(root / "src/thaw").as_posix()))
    pid = os.fork()
    if pid == 0:
        os._exit(run_pytest(root, tests, scratch / "output", _Clock(clock)))
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit((scratch / "output").read_text() + "\nThe tests fail without a mutant.")
    for path, source in originals.items():
        path.write_text(source)
    return _read(entered, clock)


def run_pytest(root: Path, tests: list[str], output: Path, *plugins: Any) -> int:
    """Become a process that runs `tests` of the copy `root`; the exit code is pytest's."""
    os.setsid()
    os.chdir(root)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(1, 2)
    sys.path[:0] = [str(root / "src"), str(root)]
    os.environ["PYTHONPATH"] = f"{root / 'src'}{os.pathsep}{root}"  # of the processes that a test starts
    import pytest

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=list(plugins)))


def _telling(source: str, module: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            head = f"__import__('thaw._recorder', fromlist=['enter']).enter({f'{module}:{node.lineno}'!r})"
            after = ast.get_docstring(node) is not None
            node.body.insert(int(after), ast.parse(head).body[0])
    return ast.unparse(ast.fix_missing_locations(tree))


def _file(test: str) -> str:
    return test.split("::")[0]


def _read(entered: Path, clock: Path) -> Entries:
    tests_of = defaultdict(set)
    for line in entered.read_text().splitlines():
        place, test = line.split("\t", 1)
        name = _without_parameters(test)
        tests_of[place].add(_file(name) if test.endswith("(setup)") else name)
    seconds: dict[str, float] = defaultdict(float)
    for line in clock.read_text().splitlines():
        duration, test = line.split("\t", 1)
        for name in (_without_parameters(test), _file(test)):
            seconds[name] += float(duration)
    return Entries(dict(tests_of), dict(seconds))


def _without_parameters(test: str) -> str:
    """`PYTEST_CURRENT_TEST` has the phase of the test at its end."""
    return test.split("[")[0].split(" (")[0]
