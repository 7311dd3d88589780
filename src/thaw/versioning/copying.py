"""A copy of the project, for a run whose parameters are its own: the folder people work in stays as it is."""

import configparser
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thaw.versioning.repo import DvcRepo

_GIVEN = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", ".dvc/config", "src", "flows")
_NO_SOURCES = shutil.ignore_patterns("__pycache__", "*.pyc")


def copy_project(repo: "DvcRepo", target: Path) -> None:
    """Copy what stages read and the code that runs them to `target`, which is made anew; images become hard links.

    The copy shares the project's DVC cache, and with it the results of all runs, and has no Git: what stages make there is
    found again in the cache. Files that no stage reads are not copied.

    Args:
        repo: the project.
        target: a folder that is nobody's but this function's. Named alike each time, DVC knows the images' hashes again.
    """
    shutil.rmtree(target, ignore_errors=True)
    books = repo.books()
    for name in books.data:
        _bring(repo.root / name, target / name, _link)
    for name in dict.fromkeys([*_GIVEN, *books.given, *books.data_files]):
        _bring(repo.root / name, target / name, shutil.copy2)
    _write_config(repo.root, target, books.cache_dir)


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
