"""`params.yaml`, read into frozen models that let no unknown and no missing key pass."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from thaw.errors import ThawError
from thaw.params.audit import AuditParams
from thaw.params.base import Section
from thaw.params.compute import ComputeParams
from thaw.params.data import AugmentParams, SplitParams
from thaw.params.effects import refuse_idle
from thaw.params.evaluation import EvaluateParams
from thaw.params.gate import ValidateParams
from thaw.params.model import ModelParams
from thaw.params.report import ReportParams
from thaw.params.training import ExtractParams, FineTuneParams, FitParams
from thaw.params.yaml import parse_yaml

__all__ = [
    "AuditParams",
    "AugmentParams",
    "ComputeParams",
    "EvaluateParams",
    "ExtractParams",
    "FineTuneParams",
    "FitParams",
    "ModelParams",
    "Params",
    "ReportParams",
    "SplitParams",
    "ValidateParams",
    "flatten",
    "load_params",
    "parse_params",
]


_MOVED = {"validate.workers": "compute.workers", "fine_tune.cache_gb": "compute.cache_gb"}
"""Keys of an earlier version, and where they are now."""


class Params(Section):
    """The whole of `params.yaml`: a section a stage, `seed` and `model`, which several share, and `compute`."""

    seed: int = Field(1, ge=0, lt=2**32)
    model: ModelParams = ModelParams()
    validate_: ValidateParams = Field(default_factory=ValidateParams, alias="validate")
    split: SplitParams = SplitParams()
    augment: AugmentParams = AugmentParams()
    extract: ExtractParams = ExtractParams()
    train_frozen: FitParams = FitParams()
    audit: AuditParams = AuditParams()
    fine_tune: FineTuneParams = FineTuneParams()
    evaluate: EvaluateParams = EvaluateParams()
    report: ReportParams = ReportParams()
    compute: ComputeParams = ComputeParams()

    def section(self, name: str) -> Any:
        """The value of top-level key `name`. `validate` has another name in Python: pydantic owns that one."""
        return getattr(self, "validate_" if name == "validate" else name)

    def sections(self) -> list[str]:
        """The top-level keys, as `params.yaml` has them."""
        return [field.alias or name for name, field in type(self).model_fields.items()]

    def flat(self, keys: Iterable[str]) -> dict[str, Any]:
        """The values below the top-level `keys`, by dotted key."""
        sections = {key: self.section(key) for key in keys}
        return flatten(
            {key: value.model_dump() if isinstance(value, Section) else value for key, value in sections.items()}
        )


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings to one level, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def load_params(path: Path) -> Params:
    """Read `params.yaml` as YAML 1.2, where `5e-06`, which DVC writes, is a number.

    Raises:
        ThawError: the file cannot be read, or a key is unknown, missing or wrong.
    """
    return parse_params(read_values(path), str(path))


def read_values(path: Path) -> dict[str, Any]:
    """What `params.yaml` holds, unchecked.

    Raises:
        ThawError: the file cannot be read.
    """
    try:
        values: Any = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ThawError(
            f"{path}: no such file", "Run thaw in the project's folder, beside dvc.yaml."
        ) from None
    except ValueError as error:  # or of bytes that are no text
        raise ThawError(f"{path}: not YAML: {error}", "Mend the line it names.") from None
    if not isinstance(values, dict):
        raise ThawError(f"{path}: holds no sections", "Start again from the project's params.yaml.")
    return values


def parse_params(values: Mapping[str, Any], source: str = "params.yaml") -> Params:
    """Check `values` against the sections; every key must be there and none besides.

    Raises:
        ThawError: names the first wrong key, and the nearest right one; all that are missing; or a parameter that was set to
            no effect.
    """
    if missing := missing_keys(values, source):
        named = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
        raise ThawError(
            f"{source}: missing key{'s'[: len(missing) > 1]} {named}",
            "`thaw params --add-missing` adds what this version of thaw has beside those of the file, with its defaults; "
            "docs/params.md explains them.",
        )
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(_key_of(first["loc"], values))
        message = f"{source}: {key}: {first['msg'][0].lower()}{first['msg'][1:]} (is {first['input']!r})"
        raise ThawError(message, f"Give {key} a value that fits.") from None
    refuse_idle(params.flat(params.sections()), Params().flat(params.sections()), source)
    params.fine_tune.check(source)
    params.evaluate.check(source)
    return params


def _key_of(place: Iterable[Any], values: Any) -> list[str]:
    """The keys of `values` that a place of pydantic's begins with; a type follows where a value may have several."""
    keys = []
    for part in place:
        if not isinstance(values, Mapping) and not isinstance(part, int):
            break
        keys.append(str(part))
        values = values.get(part) if isinstance(values, Mapping) else None
    return keys


def _check_moved(values: Mapping[str, Any], source: str) -> None:
    for old, new in _MOVED.items():
        (section, key), (new_section, new_key) = old.split("."), new.split(".")
        found = values.get(section)
        if isinstance(found, Mapping) and key in found:
            raise ThawError(
                f"{source}: {old} is {new} now",
                f"Write {new} for {old}: take `{key}` out of section `{section}`, and put `{new_key}: {found[key]}` "
                f"below `{new_section}:`.",
            )


def missing_keys(values: Mapping[str, Any], source: str) -> list[str]:
    """The keys, dotted, that `values` lack; of a section that is not there the section's alone.

    Raises:
        ThawError: names a key that is unknown, and the nearest right one.
    """
    _check_moved(values, source)
    return list(_missing_keys(values, Params, "", source))


def _missing_keys(values: Mapping[str, Any], section: type[Section], prefix: str, source: str) -> Iterator[str]:
    known = {field.alias or name: field.annotation for name, field in section.model_fields.items()}
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"Did you mean {prefix}{near[0]}?" if near else f"Known here: {', '.join(known)}."
            raise ThawError(f"{source}: unknown key {prefix}{key}", hint)
    for key, kind in known.items():
        if key not in values:
            yield f"{prefix}{key}"
        elif isinstance(kind, type) and issubclass(kind, Section):
            value = values[key]
            if not isinstance(value, Mapping):
                raise ThawError(f"{source}: {prefix}{key} is not a section", f"Put keys below {prefix}{key}.")
            yield from _missing_keys(value, kind, f"{prefix}{key}.", source)
