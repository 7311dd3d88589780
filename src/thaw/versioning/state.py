"""What it takes to have a run again: parameters, lock, data version, small reports, code; kept in one folder.

The folder holds files with the paths that they have in the project, `code.patch`, and `state.json`, which tells the rest.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from thaw.errors import ThawError
from thaw.files import read_json, replacing, write_json
from thaw.redaction import redact
from thaw.run_slot import RUN_PAGE
from thaw.versioning.code import Code, read_code

if TYPE_CHECKING:
    from thaw.versioning.repo import DvcRepo

STATE, PATCH, PARAMS, LOCK = "state.json", "code.patch", "params.yaml", "dvc.lock"
_FILE_LIMIT = 20 * 2**20
_CODE = ("src", "flows", "dvc.yaml")
"""Where a file that Git does not know is code all the same."""


@dataclass(frozen=True)
class State:
    """What it takes to have a run again. Paths are relative to the project's root.

    Attributes:
        files: path of each file that DVC's cache does not have to its content, or to where that lies.
        outputs: path of each file and folder that it has to the version (DVC's hash).
        code: Git's commit, and the patch.
        edited: sources that were edited after the stage that reads them was booked: the patch has them as they were edited.
        withheld: path of each file that belongs to `files` and was not kept to the reason.
    """

    files: Mapping[str, Path | bytes]
    outputs: dict[str, str]
    code: Code = field(default_factory=lambda: Code(""))
    edited: tuple[str, ...] = ()
    withheld: dict[str, str] = field(default_factory=dict)


def read_state(folder: Path) -> State:
    """The state that a folder keeps.

    Raises:
        ThawError: it keeps none.
    """
    try:
        known = read_json(folder / STATE)
        known_code = known["code"]
        patch = (folder / PATCH).read_bytes() if known_code["patch"] else b""
        code = Code(known_code["commit"], patch, known_code["left_out"])
        files = {path: folder / _inside(path) for path in known["files"]}
        outputs = {_inside(path): value for path, value in known["outputs"].items()}
        return State(files, outputs, code, tuple(known["edited"]), known["withheld"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ThawError(f"{folder}: keeps no state of a project: {error}", "Name another run: `thaw runs`.") from None


def _inside(path: str) -> str:
    """A path that stays within the folder that it is relative to; MLflow's store may be written by others."""
    if Path(path).is_absolute() or ".." in Path(path).parts or path in (STATE, PATCH):
        raise ValueError(f"{path!r} is no path of a project's file")
    return path


def content_of(source: Path | bytes) -> bytes:
    """The bytes of a state's file."""
    return source if isinstance(source, bytes) else source.read_bytes()


def is_page(path: str) -> bool:
    """Whether a state's file is a page to look at, which Git does not keep."""
    return path.endswith(".html")


def write_state(folder: Path, state: State) -> None:
    """Write a state to a folder, which is empty."""
    for path, source in state.files.items():
        with replacing(folder / path) as temporary:
            temporary.write_bytes(content_of(source))
    if state.code.patch:
        (folder / PATCH).write_bytes(state.code.patch)
    write_json(
        folder / STATE,
        {
            "files": sorted(state.files),
            "outputs": dict(sorted(state.outputs.items())),
            "code": {
                "commit": state.code.commit,
                "patch": PATCH if state.code.patch else "",
                "left_out": state.code.left_out,
            },
            "edited": state.edited,
            "withheld": state.withheld,
        },
    )


def workspace_files(repo: "DvcRepo") -> dict[str, Path]:
    """The files of a run that DVC's cache does not have, where they are: parameters, lock, data versions, metrics, pages."""
    books = repo.books()
    folders = {(repo.root / path).parent for path in books.uncached}
    pages = [os.path.relpath(page, repo.root) for folder in sorted(folders) for page in sorted(folder.glob("*.html"))]
    names = [PARAMS, LOCK, *books.data_files, *books.uncached, *(page for page in pages if page not in books.outputs)]
    return {name: repo.root / name for name in names if (repo.root / name).is_file()}


def take_state(repo: "DvcRepo", params: bytes, ahead: str = "", code: Code | None = None) -> State:
    """The state of a run whose stages are booked.

    Args:
        params: `params.yaml`, as the run was started with.
        ahead: a stage that DVC is about to book, because it is DVC that runs it.
        code: of a run that works in a copy of the project, which has no Git; else it is the folder's own.
    """
    lock, outputs = repo.booked_state(ahead)
    books = repo.books()
    here = workspace_files(repo)
    here.pop(RUN_PAGE, None)  # of the run before: this one's is made once it is closed
    files: dict[str, Path | bytes] = {**here, PARAMS: params}
    if lock:
        files[LOCK] = lock
    withheld = {path: reason for path, source in files.items() if (reason := _unfit(path, source))}
    kept = {path: source for path, source in files.items() if path not in withheld}
    return State(kept, outputs, code or current_code(repo), tuple(books.edited(ahead)), withheld)


def current_code(repo: "DvcRepo") -> Code:
    """The code as it is now: all that Git keeps but parameters, lock, data versions and what stages make."""
    books = repo.books()
    made = [PARAMS, LOCK, *books.data_files, *books.uncached, *books.outputs, *books.ignores]
    return read_code(repo.root, [*books.given, *_CODE], [*made, *workspace_files(repo)])


def _unfit(path: str, source: Path | bytes) -> str:
    """Why a file is not kept; empty where it is. Parameters and hashes MLflow shows all the same, but no address's password."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > _FILE_LIMIT:
        return f"it is over {_FILE_LIMIT // 2**20} MiB"
    if path in (PARAMS, LOCK) or path.endswith(".dvc"):
        text = os.fsdecode(content_of(source))
        if redact(text, {}) != text:
            return "it holds a password"
    return ""
