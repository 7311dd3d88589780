"""What DVC's stages, dependencies and outputs say of themselves."""

from pathlib import Path
from typing import Any


def argument_name(path: str) -> str:
    """The argument of a stage's function that takes a path."""
    name = Path(path)
    return f"{name.stem}_path" if name.suffix else f"{name.name}_dir"


def name_of(stage: Any) -> str:
    """A name to sort by: a pipeline stage's own, a data source's path."""
    return str(getattr(stage, "name", "") or stage.path)


def hash_of(item: Any) -> str:
    """The hash that DVC has noted; empty where there is none."""
    return str(item.hash_info.value or "") if item.hash_info else ""


def is_params(dep: Any) -> bool:
    """Whether a dependency is one on parameters."""
    return hasattr(dep, "params")
