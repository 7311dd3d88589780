"""`thaw data add`: the user's own images, put in their place and under DVC."""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thaw.cli import app
from thaw.errors import ThawError
from thaw.files import folder_beside
from thaw.progress import showing
from thaw.project import find_root
from thaw.trees import NotPutBackError, is_empty, taking_place, unchanged_on_failure

if TYPE_CHECKING:
    from thaw.intake.reading import Reading
    from thaw.versioning import DvcRepo

_NAME = re.compile(r"\w(?:[\w .+@#-]{0,60}\w)?")

data = typer.Typer(help="Put images under DVC.", no_args_is_help=True)
app.add_typer(data, name="data")


@data.command()
def add(
    path: Annotated[Path, typer.Argument(help="A folder of images, or an archive or shards of such.")],
    labels: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="A CSV with the labels; may be repeated.", show_default=False),
    ] = None,
    path_column: Annotated[str, typer.Option(help="Its column of the images.", show_default=False)] = "",
    label_column: Annotated[
        list[str] | None,
        typer.Option(help="Its column of the labels; repeated: one a class, 0 or 1.", show_default=False),
    ] = None,
    label_pattern: Annotated[
        str,
        typer.Option(
            metavar="REGEX",
            help="Labels in the paths: (?P<label>...), (?P<split>...) if any.",
            show_default=False,
        ),
    ] = "",
    name: Annotated[str, typer.Option(help="Its name below data/; the pipeline reads data/raw.")] = "raw",
    link: Annotated[
        bool,
        typer.Option(
            "--link/--copy", help="One copy, in DVC's cache, with read-only links to it; or two copies."
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Move a folder of that name aside.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing where the reading is a guess.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how the folder is read, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Put a folder of images in its place and under DVC, in the layout of data/raw. The original is not touched.

    Folders, tables and names tell how it is laid out (docs/data.md lists the layouts); that is said before anything is copied.
    Images without a label go to data/<name>.unlabelled, for `thaw predict`.

    [bold]Examples[/bold]

      thaw data add ~/pictures/cells
      thaw data add ~/Downloads/competition --dry-run
      thaw data add leaves --labels train.csv --path-column id --label-column label
      thaw data add /mnt/cells --link --replace
    """
    from thaw.intake.evidence import Options
    from thaw.intake.opening import opened
    from thaw.intake.recognition import recognise
    from thaw.intake.telling import take_in
    from thaw.intake.unpacking import holds_columns

    # A Parquet's own column becomes class folders, and is no column of a table any more.
    column = label_column[0] if label_column and path.exists() and holds_columns(path) else ""
    label_columns = () if column else tuple(label_column or ())
    options = Options(tuple(labels or ()), path_column, label_columns, label_pattern)
    told = not quiet and not as_json
    if dry_run:
        with showing("unpacking", told) as report, opened(path, None, report, column) as folder:
            reading = recognise(folder, options, path)
        _say(reading, path, told, as_json)
        return
    root = find_root()
    target = root / "data" / name
    _check_target(target, name, replace)
    with closing(open_repo(root)) as repo:
        target.parent.mkdir(exist_ok=True)  # DVC looks at names in folders that are there
        repo.check_free(target)
        with ExitStack() as stack:
            stack.enter_context(as_it_was_on_failure(path))
            with showing("unpacking", told) as report:
                folder = stack.enter_context(opened(path, target, report, column))
            with showing("looking at names and tables", told):
                reading = recognise(folder, options, path)
            _check_apart(path, target, in_place=replace and not reading.as_is)
            _say(reading, path, told)
            if reading.guessed and not yes:
                _confirm(take_in(reading, path, *_repeated(name, link, replace, column)), told)
            old = _put(reading, target, repo, link, told, move=folder != path)
    _say(reading, path, False, as_json)
    if told:
        _tell(target.relative_to(root), reading, old)


def _say(reading: "Reading", path: Path, in_words: bool, as_json: bool = False) -> None:
    from thaw.intake import telling

    if in_words:
        typer.echo("\n".join(telling.tell(reading, path)))
    if as_json:
        typer.echo(json.dumps(telling.as_json(reading, path), indent=2, ensure_ascii=False))


def _tell(target: Path, reading: "Reading", old: Path | None) -> None:
    if old:
        typer.echo(f"moved the old folder to {target.with_name(old.name)}")
    typer.echo(f"{len(reading.placed):,} images in {target}, version in {target}.dvc\nNext:")
    typer.echo(f"  thaw validate {target}   see what the gate says")
    typer.echo("  thaw run                  train on it")
    if reading.unlabelled:
        aside = unlabelled_of(target)
        typer.echo(
            f"  thaw predict {aside} --csv {aside.name}.csv   ask the model about the images without a label"
        )
    typer.echo(f"  git add {target}.dvc   keep the version in git")


def _repeated(name: str, link: bool, replace: bool, column: str) -> Iterator[str]:
    """The options that say where to, and which column of a Parquet is the label, as they were given."""
    if column:
        yield f"--label-column={column}"
    if name != "raw":
        yield f"--name={name}"
    if link:
        yield "--link"
    if replace:
        yield "--replace"


def _confirm(command: str, told: bool) -> None:
    """Ask whether a guess is right.

    Raises:
        ThawError: there is nobody to ask, or the answer is no.
    """
    if not told or not sys.stdin.isatty():
        raise ThawError("how the folder is read is a guess", f"Where it is right: `{command}`.")
    if not typer.confirm("Take it in like this?"):
        raise ThawError("nothing was taken in", "Say how to read it by --labels or --label-pattern.")


def unlabelled_of(target: Path) -> Path:
    """Where the images without a label go."""
    return target.with_name(f"{target.name}.unlabelled")


def _put(
    reading: "Reading", target: Path, repo: "DvcRepo", link: bool, told: bool, move: bool
) -> Path | None:
    """Lay the images out beside `target`, put them in its place and under DVC; where the old folder is now."""
    from thaw.intake.writing import lay_out

    total = len(reading.placed) + len(reading.unlabelled)
    with folder_beside(target) as temporary, ExitStack() as undone:
        count = 0
        with showing("copying", told) as report:

            def advance() -> None:
                nonlocal count
                count += 1
                report(count, max(count, total))

            lay_out(reading, temporary / "tree", temporary / "unlabelled", advance, move=move)
        undone.enter_context(unchanged_on_failure(*booked_in(target)))
        if reading.unlabelled:
            undone.enter_context(taking_place(temporary / "unlabelled", unlabelled_of(target)))
        old = undone.enter_context(taking_place(temporary / "tree", target))
        with showing("putting under DVC", told):
            repo.add(target, link)
    return old if old and old.exists() else None


def _check_target(target: Path, name: str, replace: bool) -> None:
    if not _NAME.fullmatch(name) or len(os.fsencode(name)) > 100:
        raise ThawError(f"--name {name!r}: not a folder's name", "Use letters, digits, - and _.")
    for place in (target, unlabelled_of(target)):
        if not replace and not is_empty(place):
            raise ThawError(f"data/{place.name}: holds data already", "Use --replace to move it aside first.")


def _check_apart(path: Path, target: Path, in_place: bool) -> None:
    """Refuse a folder around its place, or in it; with `in_place` it may be the place itself, which is moved aside."""
    source, place = path.resolve(), target.resolve()
    if (place.is_relative_to(source) or source.is_relative_to(place)) and not (in_place and source == place):
        raise ThawError(
            f"{source}: is where it should go, or around it", "Name a folder outside the project's data."
        )


def open_repo(root: Path) -> "DvcRepo":
    """The project as DVC sees it.

    Raises:
        ThawError: they cannot be opened; where DVC or git is not set up, with the command that does it.
    """
    from thaw.versioning import DvcRepo

    has_git = any((folder / ".git").exists() for folder in (root, *root.parents))
    if not (root / ".dvc").is_dir():
        with_git = "dvc init --subdir" if has_git else "git init && dvc init"
        command = "dvc init" if (root / ".git").exists() else with_git
        raise ThawError(
            f"{root}: no .dvc here, and DVC keeps the data's versions",
            f"Run `{command}` in this folder, or `dvc init --no-scm` to do without git.",
        )
    try:
        return DvcRepo(root)
    except ThawError:
        if has_git:
            raise
        raise ThawError(
            f"{root}: no git repository, and .dvc/config does not say that there is none",
            "Run `git init` in this folder, or `dvc config core.no_scm true` to do without git.",
        ) from None


def booked_in(target: Path) -> tuple[Path, Path]:
    """The files that DVC writes when a folder is put under it."""
    return target.with_name(f"{target.name}.dvc"), target.with_name(".gitignore")


@contextmanager
def as_it_was_on_failure(subject: Path) -> Iterator[None]:
    """Say of an error in the block, which undoes what it did, that the project is as it was."""
    try:
        yield
    except NotPutBackError:
        raise
    except ThawError as error:
        raise ThawError(error.reason, f"{error.cure} The project is as it was.".strip()) from error
    except OSError as error:
        raise ThawError(
            f"{subject}: {error}", "Mend that and try again. The project is as it was."
        ) from error
