"""Carry out a reviewed list of labels: images move to another class's folder, and `metadata.csv` follows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from posixpath import basename, splitext

from thaw.batches import RELABEL, Move, finish_last, free_path, unfinished
from thaw.errors import ThawError
from thaw.relabelling.folder import Folder, read_folder
from thaw.relabelling.metadata import rewrite
from thaw.relabelling.reviewed import Wanted, read_list
from thaw.sources import is_indexed, open_index

__all__ = ["Relabelling", "go_on", "plan"]


@dataclass(frozen=True)
class Relabelling:
    """What a list comes to."""

    moves: list[Move]
    contents: dict[str, bytes] = field(default_factory=dict)
    """Path of a file that gets another content (`metadata.csv`) to its bytes."""
    notes: list[str] = field(default_factory=list)
    """What is said of it."""


def plan(root: Path, list_path: Path, begun: Sequence[Move] = ()) -> Relabelling:
    """What is to be done so that the images of a list have the labels that it gives them. Nothing is touched.

    An image stays in its split and keeps its name, unless the folder of its new class has a file of that name.

    Args:
        root: the image folder, `<class>/*` or `<split>/<class>/*`.
        list_path: a CSV with the columns `path` and `suggested_label`; where it has `label`, that has to be the class that
            the image has now.
        begun: what a relabelling that was killed has moved or will (`go_on`): rows of these images are passed over.

    Raises:
        ThawError: the images lie in a store, or the list has a fault: the first row, and the cure.
    """
    _require_files(root)
    folder, passed = read_folder(root), {move.path for move in begun}
    wanted = [row for row in read_list(list_path, folder, passed) if row.path not in passed]
    taken: set[str] = set()
    moves = [_move(root, row, folder, taken) for row in wanted]
    contents, notes = rewrite(root, folder, {move.path: move.target for move in moves})
    return Relabelling(moves, contents, notes)


def go_on(root: Path) -> list[Move]:
    """Finish a relabelling that was killed; the moves of it, none where none was."""
    begun = unfinished(root, RELABEL)
    if begun:
        finish_last(root)
    return begun


def _require_files(root: Path) -> None:
    if not is_indexed(root):
        return
    index = open_index(root)
    whole = all(row.object in (row.path, "") for row in islice(index, 2))
    cure = (
        f"Move each image to its class's folder there yourself ({index.url}/CLASS/), then run `thaw data update`."
        if whole
        else "They are in shards: give them their labels where the shards are made, then run `thaw data update`."
    )
    raise ThawError(f"{root}: its images lie in {index.url}, where thaw moves nothing", cure)


def _move(root: Path, row: Wanted, folder: Folder, taken: set[str]) -> Move:
    stem, suffix = splitext(f"{folder.class_folder(row.path, row.label)}/{basename(row.path)}")
    target = free_path(root, stem, suffix, taken)
    return Move(row.path, "relabelled", f"was {folder.class_of(row.path)}, is {row.label}", target=target)
