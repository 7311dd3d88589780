"""The code that a run was made with: Git's commit, and a patch of what was not committed."""

import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from thaw.git import ask, commit_of
from thaw.redaction import redact

_FILE_LIMIT = 2**20
_PATCH_LIMIT = 10 * 2**20
_HIDDEN = "it holds a password or a token"
# Whatever the user's own settings are, the patch is one that `git apply` takes.
_DIFF = ("diff", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color",
         "--src-prefix=a/", "--dst-prefix=b/")  # fmt: skip


@dataclass(frozen=True)
class Code:
    """The code of a project at one moment.

    Attributes:
        commit: that is checked out; empty where there is none.
        patch: from the commit to the files as they are, for `git apply` in the project's folder; empty where they are the same.
        left_out: path (relative to the root) of each changed file that the patch lacks to the reason.
    """

    commit: str
    patch: bytes = b""
    left_out: dict[str, str] = field(default_factory=dict)


def read_code(root: Path, sources: Collection[str], other: Collection[str]) -> Code:
    """The code as it is now. The index and the files of the working tree are not touched.

    A file that holds a secret (`thaw.redaction`) is left out of the patch: with the secret hidden it would be another file.
    So are files over 1 MiB, and all of a patch over 10 MiB.

    Args:
        sources: paths of which untracked files count too.
        other: paths that are no code.
    """
    commit = commit_of(root)
    if not commit:
        return Code("")
    with tempfile.TemporaryDirectory(prefix="thaw-") as folder:
        environment = {"GIT_INDEX_FILE": str(_index_with_untracked(root, Path(folder), sources))}

        def diff(*arguments: str) -> bytes | None:
            return ask(root, *_DIFF, *arguments, environment=environment)

        return _collect(root, commit, diff, [f":(exclude,literal){path}" for path in other])


def _index_with_untracked(root: Path, folder: Path, sources: Collection[str]) -> Path:
    """A copy of Git's index in which the untracked files of `sources` are new."""
    index = folder / "index"
    own = root / os.fsdecode(ask(root, "rev-parse", "--git-path", "index") or b"").rstrip("\n")
    if own.is_file():
        shutil.copyfile(own, index)
    listed = ask(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *sources) if sources else b""
    new = b"\0".join(name for name in (listed or b"").split(b"\0") if name and not name.endswith(b"/"))
    if new:
        add = ("--literal-pathspecs", "add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul")
        ask(root, *add, given=new, environment={"GIT_INDEX_FILE": str(index)})
    return index


def _collect(root: Path, commit: str, diff: Callable[..., bytes | None], excluded: list[str]) -> Code:
    names = diff("--relative", "--name-only", "-z", "HEAD", "--", ".", *excluded)
    if names is None:
        return Code(commit, left_out={".": "Git could not tell what differs from the commit"})
    changed = [os.fsdecode(name) for name in names.split(b"\0") if name]
    left_out = {path: reason for path in changed if (reason := _unfit(root / path))}
    kept = [path for path in changed if path not in left_out]
    patch = diff("HEAD", "--", ".", *excluded, *(f":(exclude,literal){path}" for path in left_out)) if kept else b""
    if patch is None or len(patch) > _PATCH_LIMIT:
        return Code(commit, left_out=left_out | dict.fromkeys(kept, f"the patch is over {_PATCH_LIMIT // 2**20} MiB"))
    if _holds_secret(patch):  # in a line that was removed, or beside a changed one
        parts = {path: diff("HEAD", "--", f":(literal){path}") or b"" for path in kept}
        left_out |= {path: _HIDDEN for path, part in parts.items() if _holds_secret(part)}
        patch = b"".join(part for path, part in parts.items() if path not in left_out)
    return Code(commit, patch, left_out)



def _unfit(path: Path) -> str:
    """Why a changed file is left out of the patch; empty where it is not."""
    if not path.is_file() or path.is_symlink():
        return ""  # removed, or a link, which is but its target's name
    if path.stat().st_size > _FILE_LIMIT:
        return f"it is over {_FILE_LIMIT // 2**20} MiB"
    return _HIDDEN if _holds_secret(path.read_bytes()) else ""


def _holds_secret(data: bytes) -> bool:
    text = os.fsdecode(data)
    return redact(text) != text
