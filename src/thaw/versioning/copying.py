"""A copy of the project, for a run whose parameters are its own: the folder people work in stays as it is."""

import configparser
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thaw.versioning.locks import explained

_GIVEN = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".dvc/config", "src", "flows")
_NO_SOURCES = shutil.ignore_patterns("__pycache__", "*.pyc")


def copy_project(root: Path, target: Path) -> None:
    """Copy what stages read and the code that runs them to `target`, which is made anew; images become hard links.

    The copy shares the project's DVC cache, and with it the results of all runs, and has no Git: what stages make there is
    found again in the cache. Files that no stage reads are not copied.

    Args:
        root: the project's folder.
        target: a folder that is nobody's but this function's. Named alike each time, DVC knows the images' hashes again.

    Raises:
        ThawError: DVC cannot read the project.
    """
    shutil.rmtree(target, ignore_errors=True)
    with explained():
        inputs = _read(root)
    for name in dict.fromkeys([*_GIVEN, *inputs.sources]):
        _bring(root / name, target / name, shutil.copy2)
    for name in inputs.data:
        _bring(root / name, target / name, _link)
    _write_config(root, target, inputs.cache_dir)


@dataclass(frozen=True)
class _Inputs:
    """What stages read and none makes, relative to the root: files of Git's, and what `*.dvc` files version."""

    sources: list[str]
    data: list[str]
    cache_dir: str


def _read(root: Path) -> _Inputs:
    from dvc.repo import Repo

    repo = Repo(str(root))
    try:
        stages = [stage for stage in repo.index.stages if not stage.is_data_source]
        versioned = [stage for stage in repo.index.stages if stage.is_data_source]
        made = [Path(out.fs_path) for stage in stages for out in stage.outs]
        read = {Path(dep.fs_path) for stage in stages for dep in stage.deps}
        given = sorted(path for path in read if not any(path.is_relative_to(out) for out in made))
        used = [stage for stage in versioned if any(_meet(Path(out.fs_path), path) for out in stage.outs for path in given)]
        data = [Path(out.fs_path) for stage in used for out in stage.outs]
        sources = [path for path in given if not any(_meet(path, out) for out in data)]
        return _Inputs(
            [os.path.relpath(path, root) for path in [*sources, *(Path(stage.path) for stage in used)]],
            [os.path.relpath(path, root) for path in data],
            str(repo.cache.local_cache_dir),
        )
    finally:
        repo.close()


def _meet(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _bring(source: Path, target: Path, copy: Callable[[str, str], Any]) -> None:
    if target.exists() or not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copy2(source, target)
    else:
        shutil.copytree(source, target, symlinks=True, ignore=_NO_SOURCES, copy_function=copy)


def _link(source: str, target: str) -> Any:
    """A second name for a file; a copy where the file system has none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _write_config(root: Path, target: Path, cache_dir: str) -> None:
    """Settings of this machine, which Git does not know: the project's own, its cache, and that there is no Git here."""
    # Quoted, for `#` begins a comment; relative, for DVC itself would write no name that is not ASCII.
    place = os.path.relpath(cache_dir, target / ".dvc")
    quote = '"' if '"' not in place else "'"
    config = configparser.ConfigParser(interpolation=None)
    config.read(root / ".dvc" / "config.local", encoding="utf-8")
    for section, key, value in (("core", "no_scm", "true"), ("cache", "dir", f"{quote}{place}{quote}")):
        if not config.has_section(section):
            config.add_section(section)
        config.set(section, key, value)
    with (target / ".dvc" / "config.local").open("w", encoding="utf-8") as file:
        config.write(file)
