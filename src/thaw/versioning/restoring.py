"""Brings a kept state back into the workspace; nothing that is there is lost.

What is there is saved first: outputs in DVC's cache, all other files in `.thaw/before-restore/<number>`, whose `journal.json`
says what the restoring was for and whether it was finished. A restoring that was killed is finished by starting it again.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thaw.errors import ThawError
from thaw.files import folder_beside, read_json, replacing, write_json
from thaw.versioning.books import Books
from thaw.versioning.state import (
    LOCK,
    PARAMS,
    State,
    content_of,
    is_page,
    read_state,
    workspace_files,
    write_state,
)

if TYPE_CHECKING:
    from thaw.versioning.repo import DvcRepo

_JOURNAL = "journal.json"


@dataclass(frozen=True)
class Changes:
    """What a restoring changes in the workspace.

    Attributes:
        files: path of each file to its content; None where it goes.
        outputs: path of each output to its version; empty where it goes.
    """

    files: Mapping[str, bytes | None]
    outputs: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.files or self.outputs)


@dataclass(frozen=True)
class Saved:
    """What was in the workspace before a restoring.

    Attributes:
        folder: that keeps it.
        title: what was restored.
        done: whether the restoring was finished.
        undone: whether it was taken back, or was itself a taking back.
        undoes: the number of the saved state that it brought back; empty for a run's.
        digests: SHA-256 of each file that it was to write.
    """

    folder: Path
    title: str
    done: bool = False
    undone: bool = False
    undoes: str = ""
    digests: tuple[str, ...] = ()

    def note(self) -> None:
        """Write the journal."""
        _write_journal(self.folder, self)


def _write_journal(folder: Path, saved: Saved) -> None:
    values = {key: value for key, value in vars(saved).items() if key != "folder"}
    write_json(folder / _JOURNAL, values)


def saved_states(root: Path) -> list[Saved]:
    """What was saved before each restoring, the newest first."""
    home = saved_dir(root)
    folders = [path for path in home.iterdir() if path.name.isdigit()] if home.is_dir() else []
    return [_read_saved(folder) for folder in sorted(folders, key=lambda path: int(path.name), reverse=True)]


def is_unfinished(root: Path) -> bool:
    """Whether the last restoring was killed."""
    return any(not saved.done for saved in saved_states(root)[:1])


def saved_dir(root: Path) -> Path:
    """Where a project keeps what was in the workspace before a restoring."""
    return root / ".thaw" / "before-restore"


def _read_saved(folder: Path) -> Saved:
    values: dict[str, Any] = read_json(folder / _JOURNAL)
    return Saved(folder, **values | {"digests": tuple(values["digests"])})


def last_saved(root: Path) -> Saved:
    """What was saved before the last restoring that was not taken back.

    Raises:
        ThawError: there is none.
    """
    states = saved_states(root)
    if states and not states[0].done and states[0].undoes:  # its taking back was killed
        return _read_saved(saved_dir(root) / states[0].undoes)
    for saved in states:
        if not saved.undone:
            return saved
    raise ThawError(f"{saved_dir(root)}: nothing to bring back", "Only `thaw restore` puts something there.")


def find_changes(repo: "DvcRepo", wanted: State) -> Changes:
    """What has to change in the workspace for a state.

    Raises:
        ThawError: the state is of another graph, or versions of outputs are in no cache and no remote.
    """
    books = repo.books()
    _check_known(books, wanted)
    here, now = workspace_files(repo), books.present()
    files: dict[str, bytes | None] = {path: None for path in here if path not in wanted.files}
    for path, source in wanted.files.items():
        content = content_of(source)
        if path not in here or here[path].read_bytes() != content:
            files[path] = content
    outputs = {path: wanted.outputs.get(path, "") for path in books.outputs}
    changed = {path: version for path, version in outputs.items() if version != now.get(path, "")}
    missing = books.missing({path: version for path, version in changed.items() if version})
    if missing:
        raise ThawError(
            f"not in DVC's cache{' nor in its remote' if books.has_remote else ''}: {', '.join(missing)}",
            "Run `dvc pull` where a remote has them; or `thaw run` with the run's parameters, which makes them again. "
            "Nothing was changed.",
        )
    return Changes(files, changed)


def check_whole(state: State) -> None:
    """Raise a `ThawError` where a run's state was not kept whole."""
    withheld = [f"{path} ({reason})" for path, reason in state.withheld.items() if not is_page(path)]
    if withheld or PARAMS not in state.files or LOCK not in state.files:
        raise ThawError(
            f"what it takes was not kept whole: {', '.join(withheld) or 'no stage was booked'}",
            "Its parameters stand in `thaw runs --json`: `thaw run -S key=value` makes it again.",
        )


def _check_known(books: Books, wanted: State) -> None:
    """Raise a `ThawError` where a state is of another graph than `dvc.yaml`'s."""
    known = {PARAMS, LOCK, *books.uncached, *books.data_files}
    folders = {Path(path).parent for path in books.uncached}
    pages = {path for path in wanted.files if is_page(path) and Path(path).parent in folders}
    foreign = sorted({*(wanted.files.keys() - known - pages), *(wanted.outputs.keys() - set(books.outputs))})
    if foreign:
        raise ThawError(
            f"dvc.yaml does not know {', '.join(foreign)}: the run is of another project, or of other code",
            f"Run `git checkout {wanted.code.commit or 'COMMIT'}` first, where it is this project's.",
        )


def restore(
    repo: "DvcRepo",
    title: str,
    changes: Changes,
    undoes: str = "",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Saved:
    """Save what is in the workspace, and carry changes out. Killed and started again it goes on.

    Args:
        title: says what is restored.
        undoes: the number of the saved state that is brought back.
        on_progress: called with the number of outputs that were kept or brought, and of all.

    Returns:
        what was saved.
    """
    books = repo.books()
    now = books.present()
    total = 2 * len(changes.outputs)
    for done, path in enumerate(changes.outputs):
        on_progress(done, total)
        if path in now:
            books.keep(path)
    saved = _save(repo, State(workspace_files(repo), now), title, changes, undoes)
    for path, content in changes.files.items():
        if content is None:
            (repo.root / path).unlink(missing_ok=True)
            continue
        with replacing(repo.root / path) as temporary:
            temporary.write_bytes(content)
    for done, (path, version) in enumerate(changes.outputs.items(), len(changes.outputs)):
        on_progress(done, total)
        books.bring(path, version)
    saved = replace(saved, done=True)
    saved.note()
    if undoes:
        replace(_read_saved(saved_dir(repo.root) / undoes), undone=True).note()
    return saved


def _save(repo: "DvcRepo", here: State, title: str, changes: Changes, undoes: str) -> Saved:
    """Keep what is in the workspace: in a folder of its own, unless a restoring was killed and nothing was edited since."""
    states = saved_states(repo.root)
    digests = {hashlib.sha256(content).hexdigest() for content in changes.files.values() if content is not None}
    if states and not states[0].done and _is_halfway(states[0], here):
        digests.update(states[0].digests)
        known = replace(states[0], title=title, undone=bool(undoes), undoes=undoes, digests=tuple(sorted(digests)))
        known.note()
        return known
    number = int(states[0].folder.name) + 1 if states else 1
    folder = saved_dir(repo.root) / str(number)
    saved = Saved(folder, title, undone=bool(undoes), undoes=undoes, digests=tuple(sorted(digests)))
    with folder_beside(folder) as temporary:
        whole = temporary / "whole"
        whole.mkdir()
        write_state(whole, here)
        _write_journal(whole, saved)
        whole.rename(folder)
    return saved


def _is_halfway(saved: Saved, here: State) -> bool:
    """Whether each file is as it was before a restoring that was killed, or as that was to write it."""
    before = {path: content_of(source) for path, source in read_state(saved.folder).files.items()}
    return all(
        content_of(source) == before.get(path) or hashlib.sha256(content_of(source)).hexdigest() in saved.digests
        for path, source in here.files.items()
    )
