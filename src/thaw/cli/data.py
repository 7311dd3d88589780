"""`thaw data add`: the user's own images, put in their place and under DVC."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thaw.cli import app
from thaw.errors import ThawError
from thaw.files import folder_beside
from thaw.project import find_root
from thaw.trees import NotPutBackError, copy_tree, is_empty, taking_place, unchanged_on_failure

if TYPE_CHECKING:
    from thaw.versioning import DvcRepo

_NAME = re.compile(r"\w(?:[\w .+@#-]{0,60}\w)?")

data = typer.Typer(help="Put images under DVC.", no_args_is_help=True)
app.add_typer(data, name="data")


@data.command()
def add(
    path: Annotated[
        Path, typer.Argument(help="A folder: <class>/* or {train,test[,val]}/<class>/*, metadata.csv if any.")
    ],
    name: Annotated[str, typer.Option(help="Its name below data/; the pipeline reads data/raw.")] = "raw",
    link: Annotated[
        bool,
        typer.Option(
            "--link/--copy", help="One copy, in DVC's cache, with read-only links to it; or two copies."
        ),
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Move a folder of that name aside.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Put a folder of images in its place and under DVC. The original is not touched.

    Links that stay within the folder stay links; of links that leave it the content is copied.

    [bold]Examples[/bold]

      thaw data add ~/pictures/cells
      thaw data add /mnt/cells --link --replace
    """
    root = find_root()
    if not path.is_dir():
        raise ThawError(f"{path}: no such folder", "Name a folder of images.")
    source, target = path.resolve(), root / "data" / name
    _check_name(name)
    _check_apart(source, target)
    if not replace and not is_empty(target):
        raise ThawError(
            f"{target.relative_to(root)}: holds data already", "Use --replace to move it aside first."
        )
    repo = open_repo(root)
    target.parent.mkdir(exist_ok=True)  # DVC looks at names in folders that are there
    repo.check_free(target)
    with as_it_was_on_failure(path), folder_beside(target) as temporary:
        count = _copy(source, temporary / "tree", quiet)
        with (
            unchanged_on_failure(*booked_in(target)),
            taking_place(temporary / "tree", target) as old,
        ):
            repo.add(target, link)
    repo.close()
    if not quiet:
        _tell(target.relative_to(root), count, old if old and old.exists() else None)


def _tell(target: Path, count: int, old: Path | None) -> None:
    if old:
        typer.echo(f"moved the old folder to {target.with_name(old.name)}")
    typer.echo(f"{count} files in {target}, version in {target}.dvc\nNext:")
    typer.echo(f"  thaw validate {target}   see what the gate says")
    typer.echo(f"  thaw run                  train on it\n  git add {target}.dvc   keep the version in git")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(os.fsencode(name)) > 100:
        raise ThawError(f"--name {name!r}: not a folder's name", "Use letters, digits, - and _.")


def _check_apart(source: Path, target: Path) -> None:
    place = target.resolve()
    if place.is_relative_to(source) or source.is_relative_to(place):
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


def _copy(source: Path, target: Path, quiet: bool) -> int:
    """Copy the tree; the number of files."""
    from rich.progress import Progress

    total = sum(len(files) for _, _, files in os.walk(source))
    count = 0

    def advance() -> None:
        nonlocal count
        count += 1
        progress.update(bar, completed=count)

    with Progress(transient=True, disable=quiet) as progress:
        bar = progress.add_task("copying", total=total)
        copy_tree(source, target, advance)
    return count
