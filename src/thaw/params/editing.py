"""Change values of `params.yaml` in place, comments and order kept, as `dvc exp run -S` does."""

import difflib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thaw.errors import ThawError
from thaw.files import write_text
from thaw.params import parse_params


def parse_overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """`fine_tune.learning_rate=5e-6` to key and value; the value is read as YAML.

    Raises:
        ThawError: an assignment has no `=`.
    """
    from ruamel.yaml import YAML

    overrides = {}
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        if not sign:
            raise ThawError(
                f"-S {assignment}: no value", "Write -S key=value, such as -S fine_tune.epochs=5."
            )
        overrides[key.strip()] = YAML(typ="safe", pure=True).load(value)
    return overrides


def override_params(path: Path, overrides: Mapping[str, Any]) -> None:
    """Write values to dotted keys of `params.yaml`, whole or not at all.

    Raises:
        ThawError: a key is unknown or a value does not fit; the file is as it was.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 200
    yaml.preserve_quotes = True
    document = yaml.load(path.read_text(encoding="utf-8"))
    for key, value in overrides.items():
        *parents, last = key.split(".")
        section = document
        for parent in parents:
            section = section.get(parent)
            if not isinstance(section, dict):
                near = difflib.get_close_matches(parent, document, n=1)
                raise ThawError(f"-S {key}: no section {parent}", f"Did you mean {near[0]}?" if near else "See params.yaml.")
        section[last] = value
    parse_params(document, "-S")
    text = io.StringIO()
    yaml.dump(document, text)
    write_text(path, text.getvalue())
