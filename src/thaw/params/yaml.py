"""YAML 1.2, as `params.yaml` and what DVC writes beside it have it."""

from typing import Any


def parse_yaml(text: str) -> Any:
    """What a text says, of plain types alone: nothing is constructed that the text names.

    Raises:
        ValueError: it is no YAML, has a date that there is not, or is nested too deep.
    """
    from ruamel.yaml import YAML, YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("nested too deep") from None


def render_scalar(value: bool | float | str) -> str:
    """A value as YAML and `thaw run -S` take it: `true`, `0.1`, `adamw`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
