"""Commands under a pseudo-terminal: what they write to it, and what is on the screen then."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

_SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|[\r\n]|[^\x1b\r\n]+|\x1b")


def run_in_terminal(
    command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None, columns: int = 80
) -> tuple[int, str]:
    """Run a command on a terminal of its own, so many columns wide; its exit code and all that it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    own = {key: value for key, value in environment.items() if key not in ("CI", "NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    process = subprocess.Popen(
        command, cwd=folder, env={**own, "TERM": "xterm-256color"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # what Linux says once nobody writes any more
            break
        if not part:
            break
        written += part
    os.close(ours)
    return process.wait(600), written.decode(errors="replace")


def screen(written: str) -> list[str]:
    """The lines on the screen, of all that was written to it: of the control sequences those that move up and erase count."""
    lines, row, column = [""], 0, 0
    for match in _SEQUENCE.finditer(written):
        text, (number, kind) = match.group(), match.groups()
        if text == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif text == "\r":
            column = 0
        elif kind == "A":
            row = max(0, row - int(number or 1))
        elif kind == "K":
            lines[row] = "" if number == "2" else lines[row][:column]
        elif kind is None and text != "\x1b":
            lines[row] = lines[row].ljust(column)[:column] + text + lines[row][column + len(text) :]
            column += len(text)
    return [line.rstrip() for line in lines]
