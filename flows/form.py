"""What Prefect's form asks for: the parameters that people change most, with meaning and bounds, and the stages by name."""

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, WithJsonSchema, create_model

from thaw.errors import ThawError
from thaw.params import Params
from thaw.prefect_pages import ASKED, field_name
from thaw.project import find_root
from thaw.versioning import read_stage_names

_STAGES = read_stage_names(find_root(Path(__file__).parent))
StageName = Annotated[str, WithJsonSchema({"type": "string", "enum": _STAGES})]
OptionalStageName = Annotated[str, WithJsonSchema({"type": "string", "enum": ["", *_STAGES]})]
"""Empty: none. The form refuses `null`, which it sends itself, for what is one of several texts."""


class _Changes(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _without_default(schema: dict[str, Any]) -> None:
    """Else the form sends `null` for what was left empty."""
    schema.pop("default", None)


def _field(key: str) -> tuple[Any, Any]:
    """The field of `params.yaml`, one that may be left empty: an edit of the file would make a default untrue."""
    *sections, name = key.split(".")
    section: Any = Params
    for parent in sections:
        section = section.model_fields[parent].annotation
    info = copy(section.model_fields[name])
    info.default, info.default_factory = None, None
    info.title = key
    info.json_schema_extra = _without_default
    return info.annotation, info


Changes = create_model(  # type: ignore[call-overload]
    "Changes", __base__=_Changes, **{field_name(key): _field(key) for key in ASKED}
)


def overrides_of(change: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Both parts of the form as values of `params.yaml`, by dotted key; fields left empty are none.

    Raises:
        ThawError: a key is given twice.
    """
    asked = {key.replace("__", "."): value for key, value in change.items() if value is not None}
    twice = sorted(asked.keys() & overrides.keys())
    if twice:
        raise ThawError(f"{twice[0]} is given twice, as a field and in `overrides`", "Give it once.")
    return asked | dict(overrides)
