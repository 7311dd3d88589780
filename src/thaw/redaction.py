"""Hides secrets in whatever is printed, logged or written: passwords within addresses, and those the environment holds."""

import logging
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

HIDDEN = "***"
# `scheme://user:password@host`. The last @ before the path ends the user: a password may hold one.
_USER_INFO = re.compile(r"(?<=://)[^\s/?#\"'<>]+@")
_SECRET_NAMES = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_KEY|AUTH_STRING|ACCESS_KEY$|CONNECTION_STRING")
# Addresses with a password in them; other variables that hold one are no address of thaw's.
_ADDRESS_NAMES = re.compile(r"_UR[IL]$|_PROXY$|_proxy$")
# A shorter value stands in too many words to be hidden for its own sake; addresses are hidden by their form all the same.
_SHORTEST = 4


def redact(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """`text` with every password, and the user beside it, replaced by `***`."""
    for secret in sorted(_secrets(environment), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _USER_INFO.sub(f"{HIDDEN}@", text)


def hide_in_logs() -> None:
    """Have every message and traceback that this process logs redacted, whichever library logs it, and wherever it goes."""
    logging.setLogRecordFactory(_Redacted)


class _Redacted(logging.LogRecord):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0]:
            # What formatters print of a record that has it.
            self.exc_text = redact(logging.Formatter().formatException(self.exc_info))

    def getMessage(self) -> str:  # noqa: N802
        return redact(super().getMessage())


def _secrets(environment: Mapping[str, str]) -> set[str]:
    """The values to hide, in every form that an address writes them in."""
    values = set()
    for name, value in environment.items():
        if _ADDRESS_NAMES.search(name):
            values |= _secrets_within(value)
        elif _SECRET_NAMES.search(name):
            values |= {value, *value.split(":", 1)[1:]}  # PREFECT_API_AUTH_STRING is user:password
    plain = values | {unquote(value) for value in values}
    quoted = plain | {quote(value, safe="") for value in plain} | {quote_plus(value) for value in plain}
    return {value for value in quoted | {repr(value)[1:-1] for value in plain} if len(value) >= _SHORTEST}


def _secrets_within(address: str) -> set[str]:
    """An address's password, and user and password as a request's header carries them."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return set()
    if not parts.password:
        return set()
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
    return {parts.password, b64encode(pair.encode()).decode()}
