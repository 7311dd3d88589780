"""How a folder was read, for people and for programs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thaw.intake.evidence import shown
from thaw.intake.reading import Reading, command

_EXAMPLES = 3
_MOST_CLASSES = 12


def tell(reading: Reading, path: Path) -> Iterator[str]:
    """Lines: what the folder looks like, its classes with counts and three images each, and what is not taken.

    Args:
        path: what the user calls the folder.
    """
    yield f"{path}: {reading.says}"
    members = list(reading.members().items())
    classes = {label for (_, label), _ in members}
    yield f"  {len(reading.placed):,} images, {len(classes):,} classes"
    for (split, label), images in members[:_MOST_CLASSES]:
        yield f"  {f'{split}/' if split else ''}{label}: {len(images):,}, as {shown(images, _EXAMPLES)}"
    if len(members) > _MOST_CLASSES:
        yield f"  and {len(members) - _MOST_CLASSES:,} more classes"
    if reading.unlabelled:
        images = list(reading.unlabelled)
        yield f"  without a label, set aside: {len(images):,}, as {shown(images, _EXAMPLES)}"
    for reason, files in reading.left_out.items():
        yield f"  left out ({reason}): {len(files):,}, as {shown(files, _EXAMPLES)}"
    if reading.columns:
        yield f"  metadata.csv gets the columns {', '.join(reading.columns)}"
    for note in reading.notes:
        yield f"  {note}"


def as_json(reading: Reading, path: Path) -> dict[str, Any]:
    """The same as plain values; `command` takes the folder in as it was read."""
    return {
        "path": str(path),
        "layout": reading.says,
        "as_is": reading.as_is,
        "guessed": reading.guessed,
        "images": len(reading.placed),
        "classes": reading.counts(),
        "examples": {
            f"{split}/{label}".lstrip("/"): images[:_EXAMPLES]
            for (split, label), images in reading.members().items()
        },
        "unlabelled": list(reading.unlabelled),
        "left_out": {reason: list(files) for reason, files in reading.left_out.items()},
        "metadata": list(reading.columns),
        "notes": list(reading.notes),
        "command": take_in(reading, path),
    }


def take_in(reading: Reading, path: Path, *more: str) -> str:
    """The command that takes the folder in as it was read, without asking."""
    return command(path, reading.arguments, *more, *(["--yes"] if reading.guessed else []))
