"""`thaw sync`: ship what is left to MLflow."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from thaw.cli import app
from thaw.progress import showing
from thaw.project import find_root, home_dir

if TYPE_CHECKING:
    from thaw.tracking.sync import Standing


@app.command()
def sync(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else on stdout.")] = False,
) -> None:
    """Ship to MLflow what runs could not, and show what stays and what MLflow refused. Exit code 1 when something is left.

    [bold]Examples[/bold]

      thaw sync
      thaw sync --json
    """
    with showing("shipping to MLflow"):
        from thaw.tracking.sync import sync as ship_all

        standings = ship_all(home_dir(find_root()))
    if as_json:
        print(json.dumps([asdict(standing) for standing in standings], ensure_ascii=False, indent=2))
    else:
        print("\n".join(map(_tell, standings)) or "All is in MLflow.")
    if any(standing.left for standing in standings):
        raise typer.Exit(1)


def _tell(standing: "Standing") -> str:
    lines = [f"{standing.run} (.thaw/outbox/{standing.outbox})"]
    if standing.left:
        lines.append(f"  {standing.left} events left: {standing.reason}")
    for item in standing.refused:
        event = item["event"]
        lines.append(f"  refused: {event['op']} of {event.get('run', '')}: {item['reason']}")
    return "\n".join(lines)
