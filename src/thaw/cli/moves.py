"""How commands tell what was moved, or would be."""

import json
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from thaw.batches import Move


def print_moves(what: str, moves: "list[Move]", as_json: bool) -> None:
    """A line a path, then how many there are; or JSON."""
    if as_json:
        rows = [
            {"path": one.path, "check": one.check, "reason": one.reason}
            | ({"target": one.target} if one.target else {})
            for one in moves
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for one in moves:
        typer.echo(f"{one.path} -> {one.target}" if one.target else f"{one.path}  {one.check}")
    noun = "path" if len(moves) == 1 else "paths"
    sys.stdout.write(f"{len(moves)} {noun} {what}\n")
