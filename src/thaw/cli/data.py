"""`thaw data add`: the user's own images, put in their place and under DVC."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from thaw.cli import app
from thaw.errors import ThawError
from thaw.project import find_root

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
    replace: Annotated[
        bool, typer.Option("--replace", help="Move a folder of that name aside first.")
    ] = False,
) -> None:
    """Put a folder of images in its place and under DVC. The original is not touched.

    [bold]Examples[/bold]

      thaw data add ~/pictures/cells
      thaw data add /mnt/cells --link --replace
    """
    root = find_root()
    if not path.is_dir():
        raise ThawError(f"{path}: no such folder", "Name a folder of images.")
    target = _target(root, path.resolve(), name)
    if target.exists() and any(target.iterdir()):
        if not replace:
            raise ThawError(
                f"{target.relative_to(root)}: holds data already", "Use --replace to move it aside first."
            )
        typer.echo(f"moved the old folder to {move_aside(target).relative_to(root)}")
    count = _bring_in(path.resolve(), target)
    from thaw.versioning import Books

    books = Books(root)
    books.add(target, link)
    books.close()
    typer.echo(
        f"{count} files in {target.relative_to(root)}, version in {target.relative_to(root)}.dvc\nNext:"
    )
    typer.echo(f"  thaw validate {target.relative_to(root)}   see what the gate says")
    typer.echo(
        f"  thaw run                  train on it\n  git add {target.relative_to(root)}.dvc   keep the version in git"
    )


def _target(root: Path, source: Path, name: str) -> Path:
    if not name or name.startswith(".") or any(part in name for part in ("/", "\\", "\0")):
        raise ThawError(f"--name {name}: not a folder's name", "Use letters, digits, - and _.")
    target = root / "data" / name
    if (
        source == target.resolve()
        or target.resolve().is_relative_to(source)
        or source.is_relative_to(target.resolve())
    ):
        raise ThawError(
            f"{source}: is where it should go, or around it", "Name a folder outside the project's data."
        )
    return target


def move_aside(target: Path) -> Path:
    """Rename a folder to the next free `<name>.old-<number>` beside it; never deletes."""
    number = 1
    while (aside := target.with_name(f"{target.name}.old-{number}")).exists():
        number += 1
    return target.rename(aside)


def _bring_in(source: Path, target: Path) -> int:
    """Copy the tree beside its place, then rename it there: it is there whole or not at all."""
    from rich.progress import Progress

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    total = sum(len(files) for _, _, files in os.walk(source))
    try:
        with Progress(transient=True) as progress:
            bar = progress.add_task("copying", total=total)
            copy = _counted(shutil.copy2, lambda: progress.advance(bar))
            shutil.copytree(source, partial / "tree", symlinks=True, copy_function=copy)
        if target.exists():
            target.rmdir()  # an empty folder
        (partial / "tree").rename(target)
    except OSError as error:
        raise ThawError(f"{source}: {error}", "Nothing was put in place. Mend that and try again.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return total


def _counted(copy: Callable[[str, str], str], advance: Callable[[], None]) -> Callable[[str, str], str]:
    def counted(source: str, target: str) -> str:
        advance()
        return copy(source, target)

    return counted
