"""The space that `thaw search` looks through: ranges and choices of parameters, as `search.yaml` declares them."""

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from thaw.errors import ThawError
from thaw.params import Params, parse_params
from thaw.params.effects import IDLE, idle_among
from thaw.params.yaml import parse_yaml

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SECTIONS = ("model", "augment", "train_frozen", "fine_tune")
"""Of `params.yaml`: what makes a model. The others say what it is judged on, and how."""
_HEAD = ("train_frozen.", "model.dropout", "model.hidden_units")
_NOT_SEARCHED = ("train_frozen.devices", "fine_tune.devices", "augment.contact_sheet_images")
"""They change no model."""
_WORDS = {"low", "high", "log", "step", "choices"}
_EXAMPLE = "{low: 0.0001, high: 0.01, log: true}"

DEFAULT = """\
# What `thaw search` looks through: keys as in params.yaml, each with a range or a list of choices.
# {low, high}: from, to; `log: true` draws it on a logarithmic scale, `step: 5` in steps.
# Keys of train_frozen, model.dropout and model.hidden_units take seconds a trial: heads on the features that `thaw run` left.
# Any other key of model, augment, train_frozen and fine_tune takes whole trainings.
train_frozen:
  learning_rate: {low: 0.0001, high: 0.01, log: true}
  weight_decay: {low: 0.0001, high: 0.1, log: true}
  label_smoothing: [0.0, 0.05, 0.1]
model:
  dropout: {low: 0.0, high: 0.6}
"""
"""What is searched where there is no `search.yaml`, and what `thaw search --init` writes."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    key: str
    low: float
    high: float
    log: bool
    step: float | None
    is_whole: bool
    """Whether the parameter takes whole numbers alone."""

    def distribution(self) -> "BaseDistribution":
        """Optuna's."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.is_whole:
            return IntDistribution(int(self.low), int(self.high), self.log, int(self.step or 1))
        return FloatDistribution(self.low, self.high, self.log, self.step)

    def rounded(self, value: Any) -> Any:
        """A drawn number with as many digits as people read: three, or those of the step."""
        if self.is_whole or self.step is not None:
            return value if self.is_whole else float(f"{value:.10g}")
        return min(max(float(f"{value:.3g}"), float(self.low)), float(self.high))

    def holds(self, value: Any) -> bool:
        """Whether `value` can be drawn."""
        if not self.low <= value <= self.high:
            return False
        return self.step is None or _fits(value - self.low, self.step)


@dataclass(frozen=True)
class Choices:
    """One of `values`."""

    key: str
    values: tuple[Any, ...]

    def distribution(self) -> "BaseDistribution":
        """Optuna's."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def rounded(self, value: Any) -> Any:
        """`value`: nobody draws another than those that were written."""
        return value

    def holds(self, value: Any) -> bool:
        """Whether `value` can be drawn."""
        return value in self.values


@dataclass(frozen=True)
class Space:
    """What is searched, beside parameters that stay as they are."""

    entries: tuple[Range | Choices, ...]
    params: Params
    """Today's."""

    @property
    def keys(self) -> list[str]:
        """The parameters that are searched, in the order of the file."""
        return [entry.key for entry in self.entries]

    def is_of_heads(self) -> bool:
        """Whether a head on features that are there tells all that is searched."""
        return all(key.startswith(_HEAD) for key in self.keys)

    def today(self) -> dict[str, Any] | None:
        """Today's values of what is searched; None where one of them is not in its range."""
        values = self._flat(self.params)
        inside = all(entry.holds(values[entry.key]) for entry in self.entries)
        return {key: values[key] for key in self.keys} if inside else None

    def overrides(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """What a trial sets, by dotted key: what differs from today's parameters.

        A parameter without effect beside the others that were drawn has its default: it would tell nothing, and `params.yaml`
        takes no such value.
        """
        today, defaults = self._flat(self.params), self._flat(Params())
        values = today | {entry.key: entry.rounded(drawn[entry.key]) for entry in self.entries}
        values |= {idle.key: defaults[idle.key] for idle in idle_among(values, defaults)}
        return {key: value for key, value in values.items() if value != today[key]}

    @staticmethod
    def _flat(params: Params) -> dict[str, Any]:
        return params.flat(params.sections())


def override(params: Params, overrides: Mapping[str, Any], source: str = "search.yaml") -> Params:
    """`params` with other values, by dotted key.

    Raises:
        ThawError: a value does not fit.
    """
    values = params.model_dump(by_alias=True)
    for key, value in overrides.items():
        section, _, name = key.partition(".")
        values[section][name] = value
    return parse_params(values, source)


def read_space(path: Path, params: Params) -> Space:
    """Read `search.yaml`, or the default where there is none.

    Args:
        params: today's, which stay for all that is not searched.

    Raises:
        ThawError: the file is not to be read, a key is unknown or not to be searched, or a range or a choice is not one that
            the parameter can take; with file, key, bounds and cure.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else DEFAULT
        values = parse_yaml(text)
    except ValueError as error:
        raise ThawError(f"{path.name}: not YAML: {error}", "Mend the line it names.") from None
    reader = _Reader(path.name)
    space = Space(tuple(reader.read(values)), params)
    _refuse_idle(space, path.name)
    return space


@dataclass(frozen=True)
class _Reader:
    """Reads what a file of this name declares, strictly."""

    name: str

    def read(self, values: Any) -> Iterator[Range | Choices]:
        if not isinstance(values, Mapping) or not values:
            raise ThawError(f"{self.name}: holds no sections", "`thaw search --init` writes one to begin with.")
        for section, entries in values.items():
            self._check_section(section)
            if not isinstance(entries, Mapping) or not entries:
                raise ThawError(f"{self.name}: {section} is not a section", f"Put keys below {section}, each with a range.")
            fields = Params.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
            for name, entry in entries.items():
                key = f"{section}.{name}"
                if name not in fields:
                    raise ThawError(f"{self.name}: unknown key {key}", _nearest(str(name), fields, f"{section}."))
                if key in _NOT_SEARCHED:
                    raise ThawError(f"{self.name}: {key} changes no model", "Leave it out.")
                yield self._entry(key, fields[name], entry)

    def _check_section(self, section: Any) -> None:
        if section in SECTIONS:
            return
        known = Params().sections()
        if section not in known:
            raise ThawError(f"{self.name}: unknown key {section}", _nearest(str(section), SECTIONS, ""))
        also = " `thaw seeds` tells what another seed does." if section == "seed" else ""
        raise ThawError(
            f"{self.name}: {section} is not to be searched: it changes what a model is judged by, or how the work is done",
            f"Search keys of {', '.join(SECTIONS)}.{also}",
        )

    def _entry(self, key: str, field: FieldInfo, entry: Any) -> Range | Choices:
        choices = entry.get("choices") if isinstance(entry, Mapping) else entry
        if isinstance(entry, Mapping):
            unknown = [word for word in entry if word not in _WORDS]
            if unknown:
                hint = _nearest(str(unknown[0]), _WORDS, "")
                raise ThawError(f"{self.name}: {key}: unknown word {unknown[0]!r} in its range", hint)
            if "choices" in entry and len(entry) > 1:
                raise ThawError(f"{self.name}: {key}: choices beside other words", "Give a range or choices.")
            if "choices" not in entry:
                return self._range(key, field, entry)
        if not isinstance(choices, list) or not choices:
            raise self._no_range(key)
        for value in choices:
            self._check_value(key, field, "choice", value)
        if len({repr(value) for value in choices}) < len(choices):
            raise ThawError(f"{self.name}: {key}: a choice is given twice", "Give it once.")
        return Choices(key, tuple(choices))

    def _range(self, key: str, field: FieldInfo, entry: Mapping[str, Any]) -> Range:
        if field.annotation not in (int, float):
            raise ThawError(f"{self.name}: {key} takes no range: it is {_kind(field)}", f"Write {key.split('.')[1]}: [.., ..].")
        if "low" not in entry or "high" not in entry:
            raise self._no_range(key)
        low, high, log, step = entry["low"], entry["high"], entry.get("log", False), entry.get("step")
        for end in ("low", "high"):
            self._check_value(key, field, end, entry[end])
        if not isinstance(log, bool):
            raise ThawError(f"{self.name}: {key}: log is {log!r}", "Write log: true, or leave it out.")
        if low >= high:
            raise ThawError(f"{self.name}: {key}: low {low} is not below high {high}", "Give a range that rises.")
        if log and low <= 0:
            raise ThawError(f"{self.name}: {key}: low {low} has no logarithm", "Begin above 0, or leave `log: true` out.")
        is_whole = field.annotation is int
        self._check_step(key, low, high, log, step, is_whole)
        return Range(key, low, high, log, step, is_whole)

    def _check_step(self, key: str, low: float, high: float, log: bool, step: Any, is_whole: bool) -> None:
        if step is None:
            return
        number = isinstance(step, int if is_whole else (int, float)) and not isinstance(step, bool)
        if not number or not math.isfinite(step) or step <= 0:
            what = "a whole number" if is_whole else "a number"
            raise ThawError(f"{self.name}: {key}: step {step!r} is not {what} above 0", "Give one, or leave it out.")
        if log:
            raise ThawError(f"{self.name}: {key}: step beside log: true", "Give one of them.")
        if not _fits(high - low, step):
            last = low + math.floor((high - low) / step + 1e-9) * step
            cure = f"Write high: {last:g}, or another step."
            raise ThawError(f"{self.name}: {key}: steps of {step} from {low} do not end at {high}", cure)

    def _check_value(self, key: str, field: FieldInfo, what: str, value: Any) -> None:
        kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        is_finite = not isinstance(value, float) or math.isfinite(value)
        try:
            TypeAdapter(kind).validate_python(value, strict=get_origin(field.annotation) is not Literal)
        except ValidationError:
            is_finite = False
        if not is_finite:
            raise ThawError(
                f"{self.name}: {key}: {what} {value!r} is outside of what it takes: {_kind(field)}",
                f"Give {'choices' if what == 'choice' else f'a {what} that is'} {_kind(field)}.",
            )

    def _no_range(self, key: str) -> ThawError:
        return ThawError(
            f"{self.name}: {key} has neither range nor choices", f"Write {key.split('.')[1]}: {_EXAMPLE}, or a list of choices."
        )


def _kind(field: FieldInfo) -> str:
    """What values a parameter takes, in words."""
    if get_origin(field.annotation) is Literal:
        return f"one of {', '.join(map(str, field.annotation.__args__))}"  # type: ignore[union-attr]
    name = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(
        field.annotation, "what docs/params.md says"  # type: ignore[arg-type]
    )
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    rules = [(word, getattr(rule, sign, None)) for rule in field.metadata for sign, word in words.items()]
    bounds = [f"{word} {limit:g}" for word, limit in rules if limit is not None]
    return " ".join([name, " and ".join(bounds)]).strip()


def _nearest(name: str, known: Any, prefix: str) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {prefix}{near[0]}?" if near else f"Known here: {', '.join(known)}."


def _fits(length: float, step: float) -> bool:
    return abs(length / step - round(length / step)) < 1e-9


def _refuse_idle(space: Space, name: str) -> None:
    """Refuse to search a parameter that has no effect whatever is drawn."""
    today = space.params.flat(space.params.sections())
    for idle in IDLE:
        searched = idle.key in space.keys and not set(idle.others) & set(space.keys)
        if searched and all(today[other] in idle.values for other in idle.others):
            beside = ", ".join(f"{other}: {today[other]}" for other in idle.others)
            raise ThawError(
                f"{name}: {idle.key} has no effect beside {beside}", f"Search {idle.others[0]} too, or leave {idle.key} out."
            )

