"""Each run of `thaw run` is an experiment of DVC's too: a commit on the one that is checked out, under `refs/exps`.

`dvc exp save` would book whatever lies in the workspace, and checks Git's HEAD out and back. Here objects and one ref are
written, and HEAD, index and files are left alone. DVC knows an experiment by its ref: `refs/exps/ab/cdef.../name`, where
`abcdef...` is the commit that it is based on (DVC 3.67, `dvc.repo.experiments.refs.ExpRefInfo`).
"""

import os
import re
import tempfile
from pathlib import Path

from thaw.git import ask
from thaw.versioning.state import State, content_of, is_page


def book_experiment(root: Path, state: State, name: str) -> str:
    """Make an experiment of a run's state; its name.

    Empty where there is none to make: without Git, and where the state is that of the commit or of an experiment on it.
    """
    commit = state.code.commit
    top = (ask(root, "rev-parse", "--show-toplevel") or b"").rstrip(b"\n")
    if not commit or not top:
        return ""
    with tempfile.TemporaryDirectory(prefix="thaw-") as folder:
        tree = _write_tree(root, Path(os.fsdecode(top)), state, Path(folder) / "index")
    base = f"refs/exps/{commit[:2]}/{commit[2:]}"
    known = _trees(root, base)
    if not tree or tree in {*known.values(), _line(ask(root, "rev-parse", f"{commit}^{{tree}}"))}:
        return ""
    made = _line(ask(root, "commit-tree", tree, "-p", commit, "-m", f"thaw run {name}", environment=_author(root)))
    own = _free_name(name, {ref.removeprefix(f"{base}/") for ref in known})
    # The empty old value: never in the place of another experiment.
    if not made or ask(root, "update-ref", f"{base}/{own}", made, "0" * len(made)) is None:
        return ""
    return own


def _write_tree(root: Path, top: Path, state: State, index: Path) -> str:
    """The tree of the commit with the run's code, parameters, lock, data versions and metrics; empty where Git fails."""
    environment = {"GIT_INDEX_FILE": str(index)}
    prefix = os.fsdecode(_bytes(ask(root, "rev-parse", "--show-prefix")))
    done = [ask(top, "read-tree", state.code.commit, environment=environment)]
    if state.code.patch:
        done.append(ask(top, "apply", "--cached", "-", given=state.code.patch, environment=environment))
    for path, source in state.files.items():
        if is_page(path):
            continue
        blob = _line(ask(top, "hash-object", "-w", "--stdin", f"--path={prefix}{path}", given=content_of(source)))
        entry = f"100644,{blob},{prefix}{path}"
        done.append(ask(top, "update-index", "--add", "--cacheinfo", entry, environment=environment))
    return "" if None in done else _line(ask(top, "write-tree", environment=environment))


def _trees(root: Path, base: str) -> dict[str, str]:
    """The refs of the experiments on a commit, each with its tree."""
    listed = os.fsdecode(_bytes(ask(root, "for-each-ref", "--format=%(refname) %(tree)", base)))
    return dict(line.rsplit(" ", 1) for line in listed.splitlines())


def _free_name(name: str, taken: set[str]) -> str:
    plain = re.sub(r"[^\w-]+", "-", name).strip("-") or "run"
    names = (plain, *(f"{plain}-{number}" for number in range(2, len(taken) + 3)))
    return next(one for one in names if one not in taken)


def _author(root: Path) -> dict[str, str]:
    """Who makes the commit, where Git does not know."""
    if ask(root, "var", "GIT_COMMITTER_IDENT") is not None:
        return {}
    return {f"GIT_{role}_{what}": "thaw" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def _bytes(said: bytes | None) -> bytes:
    return (said or b"").rstrip(b"\n")


def _line(said: bytes | None) -> str:
    return _bytes(said).decode()
