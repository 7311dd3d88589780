"""Keys that the `params.yaml` of an earlier version lacks, put in their places; not a line of what stands there is changed."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from thaw.errors import ThawError
from thaw.files import write_text
from thaw.params import flatten, missing_keys, parse_params, read_values
from thaw.params.rendering import render_yaml
from thaw.params.yaml import parse_yaml

_KEY = re.compile(r"( *)(\w+):")


def add_missing(path: Path) -> list[str]:
    """Write each key that `params.yaml` lacks into it, with its default and the comment that explains it, whole or not at all.

    Returns:
        What was added: `fine_tune.swa_epoch_start: 0.0`.

    Raises:
        ThawError: a key is unknown or a value wrong, or a section is written on one line, where nothing can be put in by
            lines; the file is as it was.
    """
    before = read_values(path)
    missing = missing_keys(before, str(path))
    text = path.read_bytes().decode("utf-8")
    line_end = "\r\n" if "\r\n" in text else "\n"
    lines = text.removesuffix(line_end).split(line_end)
    whole = render_yaml().splitlines()[1:]  # without the comment on the whole file
    for key in missing:
        lines = _insert(lines, key, whole)
    text = line_end.join([*lines, ""])
    after = _parse(text)
    old, new = flatten(before), flatten(after)
    if missing_keys(after, str(path)) or new | old != new:
        raise ThawError(
            f"{path}: {', '.join(missing)} cannot be put in by lines",
            "Write one key a line, indented below its section, as the project's params.yaml does.",
        )
    parse_params(after, str(path))
    if missing:
        write_text(path, text)
    return [f"{key}: {value}" for key, value in new.items() if key not in old]


def _parse(text: str) -> dict[str, Any]:
    """The text's values; none where it is no YAML any more."""
    try:
        values = parse_yaml(text)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _insert(lines: list[str], key: str, whole: list[str]) -> list[str]:
    """The lines with what `whole` has of `key`, below the last of the keys that stand before it there."""
    rendered, places = _places(whole), _places(lines)
    section = key.rpartition(".")[0]
    siblings = [other for other in rendered if other.rpartition(".")[0] == section]
    present = [other for other in siblings if other in places]
    before = [other for other in siblings[: siblings.index(key)] if other in places]
    first = places[section].line + 1 if section in places else len(lines)
    at = _end(lines, places[before[-1]]) if before else first
    indent = places[present[0]].indent if present else places[section].indent + 2
    own = rendered[key]
    block = whole[_above(whole, own.line) : _end(whole, own)]
    moved = [" " * (indent - own.indent) + line[max(0, own.indent - indent) :] if line else line for line in block]
    return [*lines[:at], *moved, *lines[at:]]


class _Place(NamedTuple):
    line: int
    indent: int


def _places(lines: list[str]) -> dict[str, _Place]:
    """Where each key stands, by its dotted name."""
    places: dict[str, _Place] = {}
    above: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        if match := _KEY.match(line):
            indent = len(match[1])
            while above and above[-1][0] >= indent:
                above.pop()
            name = ".".join([*(name for _, name in above[-1:]), match[2]])
            above.append((indent, name))
            places.setdefault(name, _Place(number, indent))
    return places


def _end(lines: list[str], place: _Place) -> int:
    """The line after what belongs to a key: its value, and not the comments on the next key."""
    for number in range(place.line + 1, len(lines)):
        text = lines[number].lstrip()
        indent = len(lines[number]) - len(text)
        if text and text[0] != "#" and indent <= place.indent and not (text[0] == "-" and indent == place.indent):
            return _above(lines, number)
    return len(lines)


def _above(lines: list[str], number: int) -> int:
    """The first of the comments and empty lines that stand right above a line."""
    while number and lines[number - 1].lstrip()[:1] in ("", "#"):
        number -= 1
    return number
