"""`dvc.lock`: what the results were made of, read without DVC, which takes seconds to load; and whole writes of DVC's books."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thaw.files import replacing
from thaw.params import flatten
from thaw.params.yaml import parse_yaml


@dataclass(frozen=True)
class Booked:
    """Parameters and files that the stages were run with; empty where none was."""

    params: Mapping[str, Any] = field(default_factory=dict)
    """By dotted key."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Path of each dependency that no stage makes, data or source, to its hash."""
    made: Mapping[str, str] = field(default_factory=dict)
    """Path of each output to its hash."""


def read_lock_file(root: Path) -> Booked:
    """Read `dvc.lock`; empty where there is none, or none that can be read: DVC itself says what is wrong with it."""
    try:
        values = parse_yaml((root / "dvc.lock").read_text(encoding="utf-8"))
        stages = list((values or {}).get("stages", {}).values())
        made = {item["path"]: item.get("md5", "") for stage in stages for item in stage.get("outs", ())}
        deps = {item["path"]: item.get("md5", "") for stage in stages for item in stage.get("deps", ())}
        params = {
            key: value
            for stage in stages
            for values in stage.get("params", {}).values()
            for key, value in flatten(values).items()
        }
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return Booked()
    return Booked(params, {path: value for path, value in deps.items() if path not in made}, made)


def book_in(lock: bytes, stage: Any) -> bytes:
    """Book a stage that was saved in the text of a `dvc.lock`, as DVC does; the text that comes of it."""
    from dvc.stage.serialize import to_lockfile
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    values = parse_yaml_for_update(lock.decode(), "dvc.lock")
    values.setdefault("schema", "2.0")
    values.setdefault("stages", {}).update(to_lockfile(stage))
    return str(dumps_yaml(values)).encode()


def book(stage: Any, root: Path) -> None:
    """Book a stage that was saved in its file, `dvc.lock` or of data its own `*.dvc`, whole or not at all.

    DVC itself empties the file and writes it anew, so that a kill between leaves it cut, and a reader sees it so.
    """
    from dvc.stage.serialize import to_single_stage_file
    from dvc.utils.serialize import dumps_yaml

    if stage.is_data_source:
        path, content = Path(stage.path), str(dumps_yaml(to_single_stage_file(stage))).encode()
    else:
        path = root / "dvc.lock"
        content = book_in(path.read_bytes() if path.exists() else b"", stage)
    with replacing(path) as beside:
        beside.write_bytes(content)


def changes_between(before: Booked, after: Booked) -> list[str]:
    """Each parameter that has another value, then each file and folder that was edited, of those that both know."""
    values = [
        f"{key} {before.params[key]} -> {value}"
        for key, value in after.params.items()
        if key in before.params and before.params[key] != value
    ]
    return values + [path for path, value in after.given.items() if before.given.get(path, value) != value]
