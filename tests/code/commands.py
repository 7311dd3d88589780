"""thaw's commands, called in this process: it has loaded what they need."""

import contextlib
from pathlib import Path

from thaw import cli
from thaw.errors import ThawError


def call(*arguments: str, cwd: Path) -> str:
    """What the command answers where it ends in an error of the user's, else nothing."""
    with contextlib.chdir(cwd):
        try:
            cli.app(arguments, standalone_mode=False)
        except ThawError as error:
            return str(error)
    return ""
