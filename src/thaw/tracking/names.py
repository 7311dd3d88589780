"""Names and values as MLflow takes them."""

import hashlib
import re

PARAM_LIMIT = 6000
TAG_LIMIT = 8000
_KEY_LIMIT = 250
_DIGEST_SIGNS = 8
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
