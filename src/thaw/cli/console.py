"""How commands print tables and text: as wide as the terminal; into a pipe or a file nothing is wrapped."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_ENDLESS = 100_000


def stdout_console() -> "Console":
    """The console of stdout."""
    from rich.console import Console

    is_wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=_ENDLESS if is_wide else None)


def print_table(table: "Table") -> None:
    """Print a table, without the blanks that fill up its last column."""
    console = stdout_console()
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())
