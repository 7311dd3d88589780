"""`thaw relabel`: carry out a list of labels that a person has reviewed."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thaw.cli import app
from thaw.cli.moves import print_moves
from thaw.errors import ThawError

if TYPE_CHECKING:
    from thaw.batches import Move
    from thaw.versioning import DvcRepo


@app.command()
def relabel(
    reviewed: Annotated[
        Path | None,
        typer.Argument(metavar="LIST", help="A CSV: path, suggested_label and, if you like, label.", show_default=False),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Move the images; without it nothing is touched.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Bring the last relabelling back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Give images of data/raw the labels of a list that you have reviewed. Nothing is lost, and --undo brings it back.

    reports/label_suspects.csv is such a list: delete the rows whose label is right, or write another suggested_label. Each
    image goes to the folder of its new class, in its split; metadata.csv follows, and DVC books the new data version.

    [bold]Examples[/bold]

      cp reports/label_suspects.csv reviewed.csv   # look at reports/label_suspects.html, and delete rows

      thaw relabel reviewed.csv

      thaw relabel reviewed.csv --apply

      thaw relabel --undo
    """
    from thaw.project import find_root

    root = find_root()
    if undo == (reviewed is not None) or (undo and apply):
        cure = "`thaw relabel reviewed.csv`, or `thaw relabel --undo`."
        raise ThawError("thaw relabel takes a LIST, or --undo alone", cure)
    if reviewed is None:
        _undo(root, as_json)
    elif apply:
        _apply(root, reviewed, as_json)
    else:
        _show(root, reviewed, as_json)


def _show(root: Path, reviewed: Path, as_json: bool) -> None:
    from thaw.batches import RELABEL, unfinished
    from thaw.relabelling import plan

    begun = unfinished(_raw(root), RELABEL)
    found = plan(_raw(root), reviewed, begun)
    _say("would be relabelled; --apply relabels them", [*begun, *found.moves], found.notes, as_json)


def _apply(root: Path, reviewed: Path, as_json: bool) -> None:
    from thaw.batches import RELABEL, apply_moves
    from thaw.project import holding
    from thaw.relabelling import go_on, plan

    with holding(root), _books(root) as book:
        begun = go_on(_raw(root))
        if begun:
            book()
        found = plan(_raw(root), reviewed, begun)
        if found.moves:
            apply_moves(_raw(root), found.moves, RELABEL, found.contents)
            book()
    _say("relabelled; --undo brings them back", [*begun, *found.moves], found.notes, as_json)
    _tell_next(root, as_json)


def _undo(root: Path, as_json: bool) -> None:
    from thaw.batches import RELABEL, undo_last
    from thaw.project import holding

    with holding(root), _books(root) as book:
        moves = undo_last(_raw(root), RELABEL)
        book()
    _say("brought back", moves, [], as_json)
    _tell_next(root, as_json)


@contextmanager
def _books(root: Path) -> Iterator[Callable[[], None]]:
    """What books the data as it is then; nothing where it is not under DVC. Opened before anything is moved."""
    if not _raw(root).with_name("raw.dvc").is_file():
        yield lambda: None
        return
    from thaw.cli.data import open_repo

    with closing(open_repo(root)) as repo:
        yield lambda: _book(repo)


def _book(repo: "DvcRepo") -> None:
    try:
        repo.commit_data()
    except ThawError as error:
        raise ThawError(
            f"{error.reason} (the images are where they should be, and DVC has not booked that)",
            f"{error.cure} `thaw run` books it.".strip(),
        ) from error


def _raw(root: Path) -> Path:
    return root / "data" / "raw"


def _say(what: str, moves: "list[Move]", notes: list[str], as_json: bool) -> None:
    if not as_json:
        for note in notes:
            typer.echo(note)
    print_moves(what, moves, as_json)


def _tell_next(root: Path, as_json: bool) -> None:
    if as_json:
        return
    booked = _raw(root).with_name("raw.dvc")
    typer.echo("Next:\n  thaw run   judge the data as it is now, and train on it")
    if booked.is_file():
        typer.echo("  git add data/raw.dvc   keep the version in git")
