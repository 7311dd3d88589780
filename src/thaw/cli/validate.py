"""`thaw validate` and `thaw clean`: the data gate on any folder, without a project."""

import hashlib
import json
import os
import shlex
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thaw.cli import app
from thaw.cli.console import print_table, stdout_console
from thaw.cli.moves import print_moves
from thaw.cli.options import Compute
from thaw.errors import ThawError
from thaw.progress import showing

if TYPE_CHECKING:
    from thaw.gate.inspection import Inspection
    from thaw.intake.reading import Reading, Unreadable
    from thaw.params import ComputeParams
    from thaw.params.gate import ValidateParams

_COLORS = {"block": "red", "quarantine": "dark_orange", "warn": "yellow", "pass": "green"}
_WIDE = 140
"""Columns of a terminal that has room for each check's title beside its name."""
_VERDICTS = {"pass": "Passed", "warn": "Passed, with warnings", "block": "Blocked"}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
ParamsFile = Annotated[
    Path | None,
    typer.Option("--params", help="A params.yaml whose section `validate` holds.", show_default=False),
]


@app.command()
def validate(
    named: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="Images as <class>/* or {train,test}/<class>/*, or s3://BUCKET/FOLDER.", show_default=False
        ),
    ],
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option(help="Write a page to look at.", show_default=False)] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Write the manifest (Parquet).", show_default=False)
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Manifest of an earlier data version to compare with.", show_default=False),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when there are warnings.")] = False,
    params: ParamsFile = None,
    compute: Compute = "",
    quiet: Quiet = False,
) -> None:
    """Check any image folder: broken files, leaks between splits, label conflicts, near duplicates, drift.

    Ends with 0 when nothing blocks, 1 with --strict when there are warnings, 2 when the data is blocked.

    [bold]Examples[/bold]

      thaw validate photos

      thaw validate photos --html gate.html

      thaw validate s3://bucket/photos

      thaw validate photos --reference last/manifest.parquet --strict --json

      thaw validate photos --compute ray://head:10001
    """
    from thaw.cli.layouts import has_to_be_taken_in, look

    folder = Path(named)
    settings = _settings(params, reference, compute)
    reading = None if "://" in named else look(folder)
    if has_to_be_taken_in(reading):
        _print_layout(reading, folder, as_json)
        raise typer.Exit(2)
    with _scratch(folder) as scratch_dir, _root_of(named, not quiet) as root:
        inspection = _inspect(settings, root, scratch_dir, quiet, named)
        manifest_path = manifest or scratch_dir / "manifest.parquet"
        if manifest or settings.suite_path:
            _write_manifest(manifest_path, inspection)
        if settings.suite_path:
            from thaw.gate.checks.suite import check_contract

            docs_dir = scratch_dir / "data_docs"
            check_contract(manifest_path, inspection.findings, settings.params, docs_dir, settings.suite_path)
        summary = inspection.summary()
        if html:
            from thaw.gate.report.page import write_page

            write_page(html, inspection, summary)
    if as_json:
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        _print_summary(named, summary, html)
        _print_layout(reading, folder)
    if isinstance(reading, ThawError) and summary["status"] != "block":
        raise reading
    if summary["status"] == "block":
        raise typer.Exit(2)
    if summary["status"] == "warn" and strict:
        raise typer.Exit(1)


@app.command()
def clean(
    folder: Annotated[
        Path | None,
        typer.Argument(help="As of `thaw validate`; none: the project's data/raw.", show_default=False),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Move the files; without it nothing is touched.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Bring the last batch back.")] = False,
    rename: Annotated[
        bool, typer.Option("--rename", help="Give pictures the suffix of their format; move nothing out.")
    ] = False,
    check: Annotated[
        list[str] | None,
        typer.Option(help="Move what fails this check alone; may be repeated.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    params: ParamsFile = None,
    quiet: Quiet = False,
) -> None:
    """Move what the gate refuses to <folder>.quarantine, beside the folder. Nothing is deleted.

    Without a folder: the project's data/raw, checked as its params.yaml says.

    [bold]Examples[/bold]

      thaw clean photos

      thaw clean photos --apply

      thaw clean photos --check near_duplicate --apply

      thaw clean photos --rename --apply

      thaw clean photos --undo
    """
    from thaw.batches import apply_moves, undo_last
    from thaw.cleaning import plan_moves, plan_renames

    if folder is None:
        folder, params = _of_project(params)
    if undo:
        print_moves("brought back", undo_last(folder), as_json)
        return
    with _scratch(folder) as scratch_dir:
        inspection = _inspect(_settings(params, None), folder, scratch_dir, quiet)
    moves = plan_renames(inspection) if rename else plan_moves(inspection, check or [])
    if apply and moves:
        batch_dir = apply_moves(folder, moves)
        print_moves("renamed" if rename else f"moved to {batch_dir}", moves, as_json)
    else:
        what = "would be renamed; --apply renames them" if rename else "would be moved; --apply moves them"
        print_moves(what, moves, as_json)


def _of_project(params_path: Path | None) -> tuple[Path, Path]:
    """The images of the project that one is in, and the parameters that it checks them by."""
    from thaw.project import find_root

    try:
        root = find_root()
    except ThawError as error:
        raise ThawError(error.reason, "Name a folder, or run this inside a project.") from None
    return root / "data" / "raw", params_path or root / "params.yaml"


@dataclass(frozen=True)
class _Settings:
    params: "ValidateParams"
    compute: "ComputeParams"
    reference_path: Path | None = None
    suite_path: Path | None = None
    options: str = ""
    """Those that bring the same settings about."""


def _settings(params_path: Path | None, reference: Path | None, place: str = "") -> _Settings:
    """Those of a project's `params.yaml`, with the files in `data/contract` beside it; without one the defaults."""
    from thaw.compute import choose
    from thaw.params import ComputeParams, ValidateParams, load_params
    from thaw.project import named_file

    if not params_path:
        return _Settings(ValidateParams(), choose(ComputeParams(), place), reference)
    loaded = load_params(params_path)
    params, contract_dir = loaded.validate_, params_path.parent / "data" / "contract"
    return _Settings(
        params,
        choose(loaded.compute, place),
        reference or named_file("validate.reference", params.reference, contract_dir),
        named_file("validate.expectations", params.expectations, contract_dir),
        f" --params {shlex.quote(str(params_path))}",
    )


@contextmanager
def _root_of(named: str, told: bool) -> Iterator[Path]:
    """The folder itself; of an address a temporary one with the index of what lies there."""
    if "://" not in named:
        yield Path(named)
        return
    from thaw.intake.in_place import list_images
    from thaw.sources.index import write_index

    address = named.rstrip("/")
    with tempfile.TemporaryDirectory() as folder:
        with showing("listing", told) as report:
            contents = list_images(address, lambda count: report(count, 0))
        write_index(Path(folder), address, *contents)
        yield Path(folder)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A place of this folder's own in the user's cache, or a temporary one where there is no such place."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:24]
    scratch_dir = cache / "thaw" / "gate" / name
    try:
        scratch_dir.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(scratch_dir, os.W_OK)
    except OSError:
        is_writable = False
    if is_writable:
        yield scratch_dir
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def _inspect(
    settings: _Settings, folder: Path, scratch_dir: Path, quiet: bool, called: str = ""
) -> "Inspection":
    from thaw.cleaning import clean_command
    from thaw.compute import open_executor
    from thaw.gate.inspection import inspect_folder

    command, reference = clean_command(folder) + settings.options, settings.reference_path
    with (
        open_executor(settings.compute) as executor,
        showing("images", not quiet, ticking=False) as report,  # no thread draws: the scan forks its workers
    ):

        def count(images: int) -> None:
            report(images, 0)

        return inspect_folder(settings.params, folder, scratch_dir, count, reference, executor, command, called or str(folder))


def _write_manifest(path: Path, inspection: "Inspection") -> None:
    from thaw.gate.report.manifest import write_manifest

    write_manifest(path, inspection)


def _print_summary(folder: str, summary: dict[str, Any], html: Path | None) -> None:
    from rich.markup import escape

    from thaw.gate.findings import describe_block

    console = stdout_console()
    status, totals = summary["status"], summary["totals"]
    color = _COLORS[status]
    console.print(
        f"[bold {color}]{_VERDICTS[status]}[/] {escape(folder)}: {totals['images']:,} images, "
        f"{totals['fit']:,} fit to use",
        highlight=False,
    )
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}  # a check may have a cure for each kind of file
    for row in summary["findings"]:
        kinds.setdefault((row["check"], row["cure"]), []).append(row)
    if kinds:
        _print_kinds(kinds.values(), console.width)
        if blocked := describe_block(summary["findings"]):
            console.print(escape(blocked), highlight=False)
        cures = dict.fromkeys(cure for (_, cure), (row, *_) in kinds.items() if row["severity"] != "warn")
        for cure in cures:
            console.print(f"  {escape(cure)}", highlight=False)
    if html:
        console.print(f"Look at {escape(str(html))}", highlight=False)


def _print_kinds(kinds: Collection[list[dict[str, Any]]], width: int) -> None:
    """A line a kind of finding: as much of it as the terminal is wide; --json and --html have all."""
    from rich.table import Table
    from rich.text import Text

    from thaw.gate.checks import CHECKS

    titles = ["what"] if width >= _WIDE else []
    table = Table("", "check", "found", *titles, "first", box=None, pad_edge=False, header_style="dim")
    for column in table.columns[:-1]:
        column.no_wrap = True
    for row, *others in kinds:
        severity = f"[{_COLORS[row['severity']]}]{row['severity']}[/]"
        example = Text(f"{row['path']}: {row['reason'].split(';')[0]}", no_wrap=True, overflow="ellipsis")
        what = [CHECKS[row["check"]].title] if titles else []
        table.add_row(severity, row["check"], f"{1 + len(others):,}", *what, example)
    print_table(table)


def _print_layout(reading: "Reading | Unreadable | None", folder: Path, as_json: bool = False) -> None:
    """What the folder's names say of its layout, where they say another than the gate went by."""
    from thaw.cli.layouts import command_for, summary_of
    from thaw.intake.reading import Reading
    from thaw.intake.telling import tell

    if isinstance(reading, ThawError):
        typer.echo(f"  {reading.reason}\n  {reading.cure}")
    elif isinstance(reading, Reading) and as_json:
        typer.echo(json.dumps(summary_of(reading, folder), indent=2, ensure_ascii=False))
    elif isinstance(reading, Reading) and not reading.as_is:
        typer.echo("\n".join(tell(reading, folder)))
        typer.echo(f"Take it in:\n  {command_for(reading, folder)}")
