"""What `thaw validate` says of a folder that `thaw data add` takes in, before the gate looks at it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from thaw.errors import ThawError
from thaw.project import find_root

if TYPE_CHECKING:
    from thaw.intake.reading import Reading, Unreadable


def look(folder: Path) -> "Reading | Unreadable | None":
    """How the folder is read, or why it is not; None where that is for the gate to say: it cannot be listed, is empty, or an
    index."""
    from thaw.intake.reading import Unreadable
    from thaw.intake.recognition import recognise
    from thaw.sources import is_indexed

    try:
        return recognise(folder) if folder.is_dir() and not is_indexed(folder) else None
    except Unreadable as error:
        return error
    except ThawError:
        return None


def has_to_be_taken_in(reading: "Reading | Unreadable | None") -> bool:
    """Whether the folder is read well, and not as training would read it where it stands."""
    from thaw.intake.reading import Reading

    return isinstance(reading, Reading) and not (reading.as_is or reading.optional)


def command_for(reading: "Reading", folder: Path) -> str:
    """The one command that takes the folder in; of a project's own data it says that the folder is moved aside."""
    from thaw.intake.telling import take_in

    try:
        data_dir = find_root() / "data"
    except ThawError:
        return take_in(reading, folder)
    if folder.resolve().parent != data_dir.resolve():
        return take_in(reading, folder)
    name = folder.resolve().name
    return take_in(reading, folder, *([] if name == "raw" else [f"--name={name}"]), "--replace")


def summary_of(reading: "Reading", folder: Path) -> dict[str, Any]:
    """What `--json` prints in place of the gate's summary, with the same keys: one finding, and how the folder is read."""
    from thaw.intake.telling import as_json

    finding = {
        "path": ".",
        "check": "layout",
        "severity": "block",
        "value": None,
        "threshold": None,
        "reason": f"another layout: {reading.says}",
        "cure": f"Take it in with `{command_for(reading, folder)}`.",
    }
    return {
        "status": "block",
        "totals": {"images": len(reading.placed), "fit": 0, "classes": reading.counts()},
        "severities": {"block": 1, "quarantine": 0, "warn": 0},
        "checks": {"layout": 1},
        "findings": [finding],
        "layout": as_json(reading, folder),
    }
