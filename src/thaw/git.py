"""Asks Git; a folder that is under no Git has nothing to say."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_SECONDS = 60


def ask(root: Path, *arguments: str, given: bytes = b"", environment: Mapping[str, str] | None = None) -> bytes | None:
    """What `git` prints in a folder; None where it fails, or is not there.

    Args:
        given: its standard input.
        environment: added to this process's own.
    """
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],
            cwd=root,
            input=given,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def commit_of(root: Path) -> str:
    """The commit that is checked out; empty where there is none."""
    return (ask(root, "rev-parse", "HEAD") or b"").decode().strip()


def is_dirty(root: Path, apart_from: Sequence[str] = ()) -> bool:
    """Whether a tracked file differs from the commit, `apart_from` those that these patterns of Git name."""
    return bool(
        ask(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *(f":(exclude){name}" for name in apart_from))
    )


def has_commit(root: Path, commit: str) -> bool:
    """Whether a commit is in the repository."""
    return ask(root, "cat-file", "-e", f"{commit}^{{commit}}") is not None
