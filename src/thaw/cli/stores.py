"""`thaw data add s3://...` and `thaw data update`: images that stay in their store, of which the project keeps an index."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thaw.cli.data import as_it_was_on_failure, booked_in, check_target, data, open_repo
from thaw.errors import ThawError
from thaw.files import folder_beside
from thaw.progress import showing
from thaw.project import find_root
from thaw.trees import taking_place, unchanged_on_failure

if TYPE_CHECKING:
    from thaw.intake.in_place import Contents
    from thaw.sources import Row


def add_stored(address: str, name: str, replace: bool, dry_run: bool, as_json: bool, quiet: bool) -> None:
    """Put an index of what lies below `address` in the place of a data folder, and under DVC."""
    from thaw.sources.index import write_index

    address, told = address.rstrip("/"), not quiet and not as_json
    if dry_run:
        _say(_list(address, told).rows, address, told, as_json)
        return
    root = find_root()
    target = root / "data" / name
    check_target(target, name, replace)
    with closing(open_repo(root)) as repo:
        target.parent.mkdir(exist_ok=True)
        repo.check_free(target)
        with as_it_was_on_failure(Path(address)):
            found = _list(address, told)
            with folder_beside(target) as temporary:
                write_index(temporary / "tree", address, *found)
                with unchanged_on_failure(*booked_in(target)), taking_place(temporary / "tree", target) as old:
                    repo.add(target)
    _say(found.rows, address, told, as_json)
    if told:
        if old and old.exists():
            typer.echo(f"moved the old folder to {old.relative_to(root)}")
        _tell(target.relative_to(root))


@data.command()
def update(
    name: Annotated[str, typer.Option(help="The folder below data/.")] = "raw",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Book what the store holds now: of data that `thaw data add` left where it is. What changed is told.

    [bold]Examples[/bold]

      thaw data update
    """
    from thaw.sources import FILE, is_indexed, open_index
    from thaw.sources.index import write_index

    root = find_root()
    target = root / "data" / name
    if not is_indexed(target):
        raise ThawError(
            f"data/{name}: its images lie in it, and not in a store",
            "`thaw run` takes up what you change there; `thaw data add s3://BUCKET/FOLDER` leaves data in a store.",
        )
    index = open_index(target)
    with as_it_was_on_failure(target):
        found = _list(index.url, not quiet and not as_json)
        before = {row.path: row.mark() for row in index}
        after = {row.path: row.mark() for row in found.rows}
        if before != after:
            with closing(open_repo(root)) as repo, unchanged_on_failure(target / FILE, *booked_in(target)):
                write_index(target, index.url, *found)
                repo.add(target)
    changes = _changes(before, after)
    if as_json:
        typer.echo(json.dumps({"address": index.url, **changes}, indent=2, ensure_ascii=False))
    elif not quiet:
        told = [f"{len(paths):,} {kind} ({paths[0]}{', ...' if paths[1:] else ''})" for kind, paths in changes.items() if paths]
        typer.echo(f"{index.url}: {', '.join(told) or 'nothing changed'}")


@data.command()
def pack(
    folder: Annotated[Path, typer.Argument(help="Images as <class>/* or <split>/<class>/*.", show_default=False)],
    to: Annotated[Path, typer.Option(help="The folder of the shards; it is made.", show_default=False)],
    shard_mb: Annotated[int, typer.Option(min=1, help="Size of a shard.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Write a folder of images as a few tar shards; the same files give the same bytes. The folder is not touched.

    [bold]Examples[/bold]

      thaw data pack ~/pictures/cells --to /mnt/cells-shards
    """
    from thaw.intake.packing import pack as write

    with showing("packing", not quiet and not as_json) as report:
        names = write(folder, to, shard_mb * 1_000_000, report)
    if as_json:
        typer.echo(json.dumps({"shards": [str(to / name) for name in names]}, indent=2, ensure_ascii=False))
    elif not quiet:
        typer.echo(f"{_counted(len(names), 'shard')} in {to}\nNext:\n  thaw data add {to} --in-place")


def _list(address: str, told: bool) -> "Contents":
    from thaw.intake.in_place import list_images

    with showing("listing", told) as report:
        return list_images(address, lambda count: report(count, 0))


def _say(rows: "list[Row]", address: str, in_words: bool, as_json: bool) -> None:
    size = sum(row.size for row in rows)
    objects = len({row.object for row in rows})
    if in_words:
        held = f"{_counted(len(rows), 'file')} in {_counted(objects, 'object')}"
        typer.echo(f"{address}: {held}, {size / 1e6:,.1f} MB; they stay where they are")
    if as_json:
        told = {"address": address, "files": len(rows), "objects": objects, "bytes": size}
        typer.echo(json.dumps(told | {"versions": sum(bool(row.version) for row in rows)}, indent=2))


def _tell(target: Path) -> None:
    typer.echo(f"an index of them is {target}, version in {target}.dvc\nNext:")
    typer.echo(f"  thaw validate {target}   see what the gate says")
    typer.echo("  thaw run                  train on it")
    typer.echo("  thaw data update          book what the store holds later")
    typer.echo(f"  git add {target}.dvc   keep the version in git")


def _changes(before: dict[str, int], after: dict[str, int]) -> dict[str, list[str]]:
    """The paths that are new, changed and gone."""
    return {
        "new": [path for path in after if path not in before],
        "changed": [path for path in after if before.get(path, after[path]) != after[path]],
        "gone": [path for path in before if path not in after],
    }


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"
