"""`thaw demo`: real images to try the pipeline on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from thaw.cli import app
from thaw.cli.console import stdout_console
from thaw.params.yaml import parse_yaml
from thaw.progress import showing

if TYPE_CHECKING:
    from thaw.versioning import DvcRepo


@app.command()
def demo(
    name: Annotated[
        Literal["elpv", "digits", "mnist", "fashion_mnist", "cifar10"],
        typer.Argument(help="The data set; mnist, fashion_mnist and cifar10 come from the network."),
    ] = "elpv",
    replace: Annotated[bool, typer.Option("--replace", help="Move the data that is there aside.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Lay a public image set out in [bold]data/raw[/bold], byte for byte the same every time.

    elpv: 2,624 photographs of solar cells, functional or defective. digits: 1,797 handwritten digits. A folder that holds
    anything else is left alone; one that is half filled is completed. Where data/raw.dvc names data of your own that is
    not here, nothing takes its place unasked. The command to go on with is printed.

    [bold]Examples[/bold]

      thaw demo && thaw run
      thaw demo digits --replace
    """
    from thaw.cli.data import open_repo
    from thaw.project import find_root
    from thaw.trees import is_empty

    root = find_root()
    raw_dir = root / "data" / "raw"
    if not replace and is_empty(raw_dir):
        _check_unclaimed(raw_dir, name)
    repo = open_repo(root)
    if replace and not is_empty(raw_dir):
        written, old = _lay_out_beside(name, raw_dir, repo, quiet)
    else:
        written, old = _lay_out(name, raw_dir, quiet), None
        _commit(repo, quiet)
    repo.close()
    if not quiet:
        _tell(name, raw_dir, written, old)


def _check_unclaimed(raw_dir: Path, name: str) -> None:
    """Raise a `ThawError` where `data/raw.dvc` names data that is no demo's: it is someone's, and elsewhere."""
    from thaw.demo import SETS
    from thaw.errors import ThawError

    booked = raw_dir.with_name(f"{raw_dir.name}.dvc")
    if not booked.exists():
        return
    out = parse_yaml(booked.read_text(encoding="utf-8"))["outs"][0]
    if out.get("md5") and out["md5"] not in {demo_set.version for demo_set in SETS.values()}:
        command = "thaw demo --replace" if name == "elpv" else f"thaw demo {name} --replace"
        raise ThawError(
            f"data/{booked.name} names version {out['md5'][:8]} ({out.get('nfiles', '?')} files), which is not here",
            f"`dvc pull`, or `{command}` to put the demo in its place.",
        )


def _lay_out_beside(name: str, raw_dir: Path, repo: "DvcRepo", quiet: bool) -> tuple[int, Path | None]:
    """Put the set in the place of other data, which goes aside once the set is whole."""
    from thaw.cli.data import as_it_was_on_failure, booked_in
    from thaw.files import folder_beside
    from thaw.trees import taking_place, unchanged_on_failure

    with as_it_was_on_failure(raw_dir), folder_beside(raw_dir) as temporary:
        written = _lay_out(name, temporary / "tree", quiet)
        with unchanged_on_failure(*booked_in(raw_dir)), taking_place(temporary / "tree", raw_dir) as old:
            _commit(repo, quiet)
    return written, old


def _commit(repo: "DvcRepo", quiet: bool) -> None:
    with showing("putting under DVC", not quiet):
        repo.commit_data()


def _lay_out(name: str, raw_dir: Path, quiet: bool) -> int:
    from thaw.demo import lay_out

    with showing(f"laying out {name}", not quiet) as report:
        return lay_out(name, raw_dir, report)


def _tell(name: str, raw_dir: Path, written: int, old: Path | None) -> None:
    from thaw.demo import SETS

    console = stdout_console()
    if old:
        console.print(f"moved the old folder to data/{old.name}")
    console.print(f"{raw_dir}: {f'{written} files written' if written else 'complete, nothing to do'}")
    console.print(f"[dim]{SETS[name].licence}[/dim]")
    options = "".join(f" -S {override}" for override in SETS[name].overrides)
    console.print(f"Next: [bold]thaw run{options}[/bold]")
