"""`thaw params`: the parameters in force, and what of them was changed."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from thaw import git
from thaw.cli import app
from thaw.cli.console import print_table
from thaw.errors import ThawError
from thaw.params import Params, load_params, parse_params
from thaw.params.completing import add_missing
from thaw.params.yaml import parse_yaml
from thaw.project import find_root


@app.command()
def params(
    diff: Annotated[bool, typer.Option("--diff", help="Only those that differ from the last commit.")] = False,
    add: Annotated[
        bool, typer.Option("--add-missing", help="Add what the file of an earlier version lacks, with the defaults.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """List the parameters of params.yaml, with thaw's default and the last commit's value where they are others.

    [bold]Examples[/bold]

      thaw params
      thaw params --diff
      thaw params --add-missing   # after an upgrade of thaw; what stands in the file stays
      git checkout params.yaml    # takes back what --diff shows
    """
    root = find_root()
    if add:
        _tell_added(add_missing(root / "params.yaml"))
        return
    now, default, committed = load_params(root / "params.yaml"), _flat(Params()), _committed(root)
    if diff and committed is None:
        raise ThawError(f"{root}: no commit has a params.yaml to compare with", "Commit it, or leave --diff out.")
    rows = [
        {"key": key, "value": value, "default": default[key], "committed": (committed or {}).get(key, value)}
        for key, value in _flat(now).items()
    ]
    if diff:
        rows = [row for row in rows if row["value"] != row["committed"]]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    _print(rows, "No parameter differs from the last commit." if diff else "")


def _tell_added(added: list[str]) -> None:
    typer.echo("\n".join(added and ["Added to params.yaml:", *(f"  {line}" for line in added)]) or "No parameter is missing.")


def _flat(values: Params) -> dict[str, Any]:
    return values.flat(values.sections())


def _committed(root: Path) -> dict[str, Any] | None:
    """The values of the last commit; None where there is none, or where it is of a version that has other keys."""
    text = git.ask(root, "show", "HEAD:./params.yaml")
    if text is None:
        return None
    try:
        return _flat(parse_params(parse_yaml(os.fsdecode(text)), "params.yaml of the last commit"))
    except (ThawError, ValueError):
        return None


def _print(rows: list[dict[str, Any]], nothing: str) -> None:
    from rich.table import Table

    if not rows:
        typer.echo(nothing)
        return
    table = Table("parameter", "value", "last commit", "default", box=None)
    for row in rows:
        others = [str(row[name]) if row[name] != row["value"] else "" for name in ("committed", "default")]
        table.add_row(row["key"], str(row["value"]), *others)
    print_table(table)
