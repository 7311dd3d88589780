"""Names and values as MLflow takes them."""

import hashlib
import re
from collections.abc import Mapping

PARAM_LIMIT = 6000
TAG_LIMIT = 8000
_KEY_LIMIT = 250
_DIGEST_SIGNS = 8
DATA_TAG = "data."
"""Begins the tag with the version of data, before its folder."""
_HIDDEN = "mlflow.thaw."
"""MLflow's pages show no tag that begins with `mlflow.`."""
_SHOWN = ("mlflow.", "thaw.run", "thaw.number", "project", DATA_TAG, "champion")
_FOREIGN = re.compile(r"[^\w.\- :/]")


def valid_key(name: str) -> str:
    """`name` as MLflow takes it for a metric, a parameter or a tag.

    MLflow refuses signs other than letters, digits and `_-. :/`, what is no plain path, and more than 250 signs. A name that
    had to change ends with a digest of the original, so that `C#` and `C+` stay two.
    """
    parts = [part for part in _FOREIGN.sub("_", name).split("/") if part not in ("", ".", "..")]
    key = "/".join(parts)
    if not key or key.startswith(".."):
        key = f"_{key}"
    if key == name and len(key) <= _KEY_LIMIT:
        return key
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_SIGNS]
    return f"{key[: _KEY_LIMIT - _DIGEST_SIGNS - 1]}-{mark}"


def valid_value(value: object, limit: int) -> str:
    """`value` as text of at most `limit` signs, all of which can be written as UTF-8."""
    return str(value).encode("utf-8", "replace").decode()[:limit]


def stored_tag(name: str) -> str:
    """The name under which MLflow holds a run's tag: one that nobody filters by is hidden from its pages."""
    return name if name == "failure" or name.startswith(_SHOWN) else valid_key(f"{_HIDDEN}{name}")


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Of the tags that MLflow holds those that thaw wrote, by the names that thaw has for them."""
    named = {name.removeprefix(_HIDDEN): value for name, value in tags.items()}
    return {name: value for name, value in named.items() if not name.startswith("mlflow.")}
