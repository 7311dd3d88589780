"""What a folder was read as: which image becomes which, and what is left."""

import shlex
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import dirname

from thaw.errors import ThawError


class Undecided(Exception):
    """A folder's names allow no reading, or more than one.

    Args:
        reason: why, a clause without the folder's name.
        choices: the options of `thaw data add` that would decide it, one set a reading.
        advice: a sentence, where options do not help.
    """

    def __init__(self, reason: str, *choices: tuple[str, ...], advice: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.choices = choices
        self.advice = advice

    def explain(self, path: Path) -> "Unreadable":
        """The error for the folder `path`, with whole commands."""
        commands = " or ".join(f"`{command(path, choice)}`" for choice in self.choices)
        cure = " ".join(
            part for part in (self.advice, f"Say how to read it: {commands}." if commands else "") if part
        )
        return Unreadable(f"{path}: {self.reason}", cure)


class Unreadable(ThawError):
    """A folder in no layout that thaw reads, or in one that can be read in two ways."""


@dataclass(frozen=True)
class Reading:
    """How a folder is read, and where each of its images goes.

    Every image of the folder is in one of `placed`, `unlabelled` and `left_out`.

    Args:
        root: the folder.
        says: what it looks like, one sentence without its full stop.
        placed: image -> its path in `data/raw`, `[<split>/]<class>/<name>`.
        unlabelled: image without a label -> its path below the folder that takes such images.
        left_out: why -> the files that are not taken.
        columns: of `metadata.csv`, besides `path`; empty: none is written.
        rows: placed path -> its values of `columns`.
        as_is: the folder is laid out as `data/raw` already: it is copied as it stands.
        optional: training can read the folder as it stands, without the splits that lists beside it name.
        guessed: somebody should confirm it.
        arguments: the options of `thaw data add` that bring this reading about.
        notes: what was changed on the way, a sentence each.
    """

    root: Path
    says: str
    placed: dict[str, str]
    unlabelled: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    rows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    as_is: bool = False
    optional: bool = False
    guessed: bool = False
    arguments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def members(self) -> dict[tuple[str, str], list[str]]:
        """(split, class) -> its images, in order; the split is empty where the folder has none."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for source, target in sorted(self.placed.items()):
            split, _, label = dirname(target).rpartition("/")
            found[split, label].append(source)
        return dict(sorted(found.items()))

    def counts(self) -> dict[str, dict[str, int]]:
        """Split -> class -> number of images."""
        counts: dict[str, dict[str, int]] = {}
        for (split, label), images in self.members().items():
            counts.setdefault(split, {})[label] = len(images)
        return counts


def command(path: Path, arguments: tuple[str, ...] = (), *more: str) -> str:
    """`thaw data add` of `path`, as one types it."""
    return " ".join(shlex.quote(part) for part in ("thaw", "data", "add", str(path), *arguments, *more))
