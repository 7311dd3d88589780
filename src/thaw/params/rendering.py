"""`params.yaml` and `docs/params.md`, written from the sections' defaults and docstrings."""

import io
import types
import typing
from typing import Any

from pydantic.fields import FieldInfo

from thaw.params import Params
from thaw.params.base import Section
from thaw.params.effects import IDLE
from thaw.params.yaml import render_scalar

_WIDTH = 110


def render_yaml() -> str:
    """`params.yaml` with every default, each field's docstring above it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    def section(model: type[Section], values: dict[str, Any], indent: int) -> CommentedMap:
        lines = CommentedMap()
        for name, field in model.model_fields.items():
            key = field.alias or name
            nested = _section_of(field)
            lines[key] = section(nested, values[key], indent + 2) if nested else values[key]
            if field.description:
                lines.yaml_set_comment_before_after_key(
                    key, before=_wrap(field.description, indent), indent=indent
                )
            elif nested and not indent:
                lines.yaml_set_comment_before_after_key(
                    key, before="\n" + (nested.__doc__ or "").splitlines()[0]
                )
        return lines

    yaml = YAML()
    yaml.width = _WIDTH
    text = io.StringIO()
    text.write(
        "# Every parameter of the pipeline. An unknown or a missing key is refused. docs/params.md tells the values.\n"
    )
    yaml.dump(section(Params, Params().model_dump(by_alias=True), 0), text)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def render_markdown() -> str:
    """`docs/params.md`: a table for each section."""
    lines = [
        "# Parameters",
        "",
        "Written by `python -m thaw.params`. Change one for a run with `thaw run -S key=value`. After an upgrade of thaw "
        "`thaw params --add-missing` adds what the file of the earlier version lacks, and changes nothing else.",
        "",
    ]
    _describe(Params, "", lines)
    lines += [
        "## Without effect", "",
        "Some parameters have no effect beside some values of another. One that is set there, to a value other than its "
        "default, is refused.", "",
        "| key | has no effect where |", "|---|---|",
    ]  # fmt: skip
    for key, others, values, _ in IDLE:
        beside = " and ".join(f"`{other}`" for other in others)
        lines.append(f"| `{key}` | {beside} is {' or '.join(f'`{render_scalar(value)}`' for value in values)} |")
    return "\n".join(lines) + "\n"


def _describe(model: type[Section], prefix: str, lines: list[str]) -> None:
    plain = {
        field.alias or name: field for name, field in model.model_fields.items() if not _section_of(field)
    }
    if plain:
        lines += ["| key | default | values | meaning |", "|---|---|---|---|"]
        for key, field in plain.items():
            default = (
                "" if field.default == "" else f"`{render_scalar(field.get_default(call_default_factory=True))}`"
            )
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            lines.append(f"| `{prefix}{key}` | {default} | {_values(field)} | {meaning} |")
        lines.append("")
    for name, field in model.model_fields.items():
        nested = _section_of(field)
        if nested:
            path = f"{prefix}{field.alias or name}"
            lines += [f"## {path}", "", " ".join((nested.__doc__ or "").split()), ""]
            _describe(nested, f"{path}.", lines)


def _section_of(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _values(field: FieldInfo) -> str:
    kind, bounds_of = field.annotation, [*field.metadata]
    options = typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)
    words = []
    for option in options:
        if typing.get_origin(option) is typing.Annotated:
            option, bounded = typing.get_args(option)
            bounds_of += bounded.metadata
        choices = typing.get_args(option) if typing.get_origin(option) is typing.Literal else ()
        words += [f"`{choice}`" for choice in choices] or [str(getattr(option, "__name__", option))]
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    bounds = [
        f"{signs[name]} {getattr(item, name)}"
        for item in bounds_of
        for name in signs
        if hasattr(item, name)
    ]
    return ", ".join([*words, *bounds]).replace("|", "\\|")


def _wrap(text: str, indent: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(" ".join(text.split()), _WIDTH - indent - 2))
