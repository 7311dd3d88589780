"""Which columns of a table hold the label and the split."""

from collections.abc import Sequence
from dataclasses import dataclass

from thaw.intake.reading import Undecided
from thaw.intake.tables import Table
from thaw.roles import split_word

# fmt: off
_LABEL_NAMES = (
    "label", "labels", "class", "classes", "classname", "labelname", "category", "categoryname", "target", "diagnosis", "dx",
    "breed", "species", "classid", "labelid", "categoryid",
)
_OTHER_NAMES = frozenset((
    "group", "weight", "confidence", "probability", "patient", "patientid", "subject", "subjectid", "age", "sex", "gender",
    "width", "height", "date", "time", "camera", "site", "source", "caption", "text",
))
"""What a column is called that is no label, however few values it has."""
_SPLIT_NAMES = ("split", "set", "subset", "partition", "dataset", "fold", "phase", "usage")
# fmt: on


@dataclass(frozen=True)
class Chosen:
    """The columns of a table.

    Args:
        labels: the label's; several: one a class, 0 or 1.
        split: the split's; empty without one.
        is_certain: it is called a label, or is in a list without names: folders that say otherwise contradict it.
    """

    labels: tuple[str, ...]
    split: str = ""
    is_certain: bool = True


def choose(table: Table, path: str) -> Chosen | None:
    """Guess the columns beside `path`; None where none looks like a label.

    Raises:
        Undecided: several look like one, and do not say the same.
    """
    split = split_column(table, path)
    others = [name for name in table.columns if name not in (path, split) and name]
    one_hot = tuple(name for name in others if _is_flag(table.column(name)))
    if len(one_hot) > 1 and _one_each(table, one_hot):
        return Chosen(one_hot, split, is_certain=False)
    named = [name for name in others if is_called_label(name) and _is_label(table.column(name), named=True)]
    if named:
        return Chosen((_most_telling(table, named),), split)
    likely = [
        name for name in possible_labels(table, path) if name in others and _folded(name) not in _OTHER_NAMES
    ]
    if likely and not table.has_names:
        return Chosen(tuple(likely[:1]), split)
    return Chosen((likely[0],), split, is_certain=False) if len(others) == 1 and likely else None


def split_column(table: Table, path: str) -> str:
    """The column whose every cell names a split; empty without one."""
    for name in table.columns:
        if name != path and (_folded(name) in _SPLIT_NAMES or not table.has_names):
            words = set(table.column(name)) - {""}
            if words and all(split_word(word) for word in words):
                return name
    return ""


def label_of_flags(names: Sequence[str], cells: Sequence[str]) -> str:
    """The class of a row of flags; empty where none is set.

    Raises:
        ValueError: several are.
    """
    flagged = [name for name, cell in zip(names, cells, strict=True) if cell and float(cell) == 1]
    if len(flagged) > 1:
        raise ValueError(", ".join(flagged))
    return flagged[0] if flagged else ""


def is_called_label(name: str) -> bool:
    """Whether a column's name says that it holds labels."""
    return _folded(name) in _LABEL_NAMES or "label" in _folded(name)


def _folded(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _is_flag(cells: list[str]) -> bool:
    """Whether a column is 0 and 1 alone, with a 1 in it somewhere."""
    values = set(cells)
    return values <= {"0", "1", "0.0", "1.0", ""} and bool(values & {"1", "1.0"})


def _one_each(table: Table, names: tuple[str, ...]) -> bool:
    """Whether each row has one flag; a few may have none."""
    at = [table.columns.index(name) for name in names]
    flags = [sum(bool(row[i]) and float(row[i]) == 1 for i in at) for row in table.rows]
    return max(flags) == 1 and sum(flags) > 0.9 * len(flags)


def _is_label(cells: list[str], named: bool) -> bool:
    """Whether the cells may be classes: two or more, of several images each, and no measurements.

    Args:
        named: the column's name says that it is a label: then one class that comes twice is enough.
    """
    values = set(cells) - {""}
    if any(_has_fraction(value) for value in values):
        return False
    if named:
        return 0 < len(values) < len(cells)
    return 2 <= len(values) <= len(cells) / 2


def possible_labels(table: Table, path: str) -> list[str]:
    """The columns that may hold a label, whatever they are called."""
    return [
        name
        for name in table.columns
        if name not in ("", path) and _is_label(table.column(name), named=False)
    ]


def _has_fraction(value: str) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return number != int(number) if abs(number) < 1e15 else True


def _most_telling(table: Table, named: list[str]) -> str:
    """Of columns that say the same the one in words; a column that says less than another is a coarser class."""
    cells = {name: table.column(name) for name in named}
    for name in named[1:]:
        pairs = set(zip(cells[named[0]], cells[name], strict=True))
        if not len(pairs) == len(set(cells[named[0]])) == len(set(cells[name])):
            choices = [("--labels", table.path, "--label-column", other) for other in named]
            raise Undecided(
                f"{table.path} has several columns that may be the label: {', '.join(named)}", *choices
            )
    words = [
        name for name in named if not all(cell.replace(".", "").isdigit() for cell in cells[name] if cell)
    ]
    return (words or named)[0]
