"""Change values of `params.yaml` in place, comments and order kept, as `dvc exp run -S` does."""

import difflib
import io
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from thaw.errors import ThawError
from thaw.files import write_text
from thaw.params import Params, load_params, parse_params


def parse_overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """`fine_tune.learning_rate=5e-6` to key and value.

    The value is read as YAML; what is no number, truth value, null, text or list of such is the text as typed.

    Raises:
        ThawError: an assignment has no `=`, no key or a value that cannot be read, or a key is given twice.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        key = key.strip()
        if not sign or not key:
            raise ThawError(
                f"-S {assignment}: no {'key' if sign else 'value'}",
                "Write -S key=value, such as -S fine_tune.epochs=5.",
            )
        if key in overrides:
            raise ThawError(f"-S {assignment}: {key} is given twice", "Give it once.")
        overrides[key] = _read_value(assignment, value)
    return overrides


def _read_value(assignment: str, text: str) -> Any:
    from ruamel.yaml import YAMLError

    if " #" in text and text.lstrip()[:1] not in ("'", '"', "[", "{"):
        return text  # on a command line it begins no comment
    try:
        value = _reader().load(text)
    except (YAMLError, RecursionError) as error:
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        cure = "Put text that holds signs of YAML in quotes: -S \"key='[text'\"."
        raise ThawError(f"-S {assignment[:200]}: the value is not YAML: {what}", cure) from None
    return value if _is_plain(value) else text


def _reader() -> Any:
    """YAML 1.2, with a date read as the text that it is."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor

    class Constructor(SafeConstructor):
        pass

    Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Constructor
    return yaml


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def check_overrides(path: Path, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values that `params.yaml` would hold with `overrides`. The file is not touched.

    Raises:
        ThawError: the file is wrong, a key is unknown or a value does not fit.
    """
    load_params(path)
    document = _read(path)
    _override(document, overrides)
    return document


def override_params(path: Path, overrides: Mapping[str, Any]) -> list[str]:
    """Write values to dotted keys of `params.yaml`, whole or not at all.

    Returns:
        What is another value now: `fine_tune.epochs: 9 -> 5`.

    Raises:
        ThawError: the file is wrong, a key is unknown or a value does not fit; the file is as it was.
    """
    before = load_params(path)
    document = _read(path)
    _override(document, overrides)
    text = io.StringIO()
    _editor().dump(document, text)
    write_text(path, text.getvalue())
    return differences(before, load_params(path))


def differences(before: Params, after: Params) -> list[str]:
    """Each key, dotted, that has another value: `fine_tune.epochs: 9 -> 5`."""
    old, new = before.flat(before.sections()), after.flat(after.sections())
    return [f"{key}: {old[key]} -> {value}" for key, value in new.items() if old[key] != value]


def _editor() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 200
    yaml.preserve_quotes = True
    return yaml


def _read(path: Path) -> MutableMapping[str, Any]:
    document: MutableMapping[str, Any] = _editor().load(path.read_text(encoding="utf-8"))
    return document


def _override(document: MutableMapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Put the values into the document, and check the whole."""
    for key, value in overrides.items():
        *parents, last = key.split(".")
        section = document
        for depth, parent in enumerate(parents):
            path = ".".join(parents[: depth + 1])
            if parent not in section:
                near = difflib.get_close_matches(parent, section, n=1)
                nearest = ".".join([*parents[:depth], *near])
                raise ThawError(f"-S {key}: no section {path}", f"Did you mean {nearest}?" if near else "See params.yaml.")
            section = section[parent]
            if not isinstance(section, MutableMapping):
                raise ThawError(f"-S {key}: {path} is a value, and has no keys", f"Write -S {path}=VALUE.")
        section[last] = value
    parse_params(document, "-S")
