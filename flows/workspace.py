"""Where a run works: in the project's folder, or in a copy of it with parameters of its own."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import Timeout

from flows.processes import StageKilled
from thaw.errors import ThawError
from thaw.params.editing import override_params
from thaw.project import run_lock, scratch_dir
from thaw.versioning import Code, DvcRepo, copy_project, current_code

_COPY = Path(".thaw") / "workspace"


@contextlib.contextmanager
def held(root: Path, wait: bool, logger: Any) -> Iterator[None]:
    """Hold the project for a whole run: one at a time.

    Raises:
        ThawError: another run holds it, and `wait` is not set.
    """
    (root / ".thaw").mkdir(exist_ok=True)
    lock = run_lock(root)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise ThawError(
                "another run of this project is at work", "Wait for it (without --no-wait), or end it."
            ) from None
        logger.info("another run of this project is at work; waiting for it to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def copied(root: Path, overrides: dict[str, Any]) -> Iterator[tuple[Path, Code]]:
    """A copy of the project whose `params.yaml` holds `overrides`, and the project's code, for the block alone.

    The caller holds the project.

    Code is imported from there, so that an edit of the project's does not reach the run. What the run made stays in DVC's
    cache and in MLflow. After a kill checkpoints are there: the same run, started again, goes on.

    Raises:
        ThawError: a parameter is wrong, or the project cannot be copied.
    """
    place = root / _COPY
    code = _copy(root, place)
    override_params(place / "params.yaml", overrides)
    with _working_in(root, place):
        scratch = scratch_dir(place, "")
        try:
            yield place, code
        except StageKilled:
            raise
        except Exception:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
    for done in (scratch, place):
        shutil.rmtree(done, ignore_errors=True)


def _copy(root: Path, place: Path) -> Code:
    """Make the copy, which has no Git; the code that it was made of."""
    repo = DvcRepo(root)
    try:
        copy_project(repo, place)
        return current_code(repo)
    finally:
        repo.close()


@contextlib.contextmanager
def _working_in(root: Path, place: Path) -> Iterator[None]:
    """`DVC_ROOT` tells where the project is; the processes of stages import what is in `place`."""
    code = [str(place), str(place / "src")]
    own = {"DVC_ROOT": str(root), "PYTHONPATH": os.pathsep.join(code)}
    path, before = list(sys.path), {name: os.environ.get(name) for name in own}
    sys.path[:0] = code
    os.environ |= own
    try:
        yield
    finally:
        sys.path[:] = path
        for name, value in before.items():
            os.environ.pop(name)
            os.environ |= {name: value} if value is not None else {}
