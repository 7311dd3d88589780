"""DVC's locks, and what DVC raises, in words that say the cure."""

import logging
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from thaw.errors import ThawError, explain_disk

_log = logging.getLogger("thaw.versioning")
_POLL_SECONDS = 0.5


@contextmanager
def waited_for(make_lock: Callable[[], Any]) -> Iterator[None]:
    """Enter a lock of DVC as soon as it is free.

    Raises:
        ThawError: it is not free, and `THAW_NO_WAIT` is set.
    """
    from dvc.lock import LockError

    told = False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(make_lock())
                break
            except LockError:
                if "THAW_NO_WAIT" in os.environ:
                    raise
                if not told:
                    _log.warning("another DVC command is at work here; waiting for it to end")
                told = True
                time.sleep(_POLL_SECONDS)
        yield


@contextmanager
def explained(cure: str = "See `dvc status -v`.") -> Iterator[None]:
    """Turn what DVC raises for a full disk, a missing right, a held lock or a file of its own that is wrong into an error that
    says the cure.

    Args:
        cure: of everything else.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.lock import LockError

    try:
        yield
    except LockError as error:
        raise ThawError(
            "DVC's lock is held by another command", "Wait for it to end, or end it, and try again."
        ) from error
    except OSError as error:
        raise explain_disk(error) or ThawError(f"DVC: {error}", "See `dvc status -v`.") from error
    except NotDvcRepoError as error:
        raise ThawError(str(error), "Run thaw in the project's folder; `dvc init` begins a new one.") from error
    except DvcException as error:
        raise ThawError(f"DVC: {error}", _cure_for(error, cure)) from error


def _cure_for(error: Exception, usual: str) -> str:
    """What to do: of a file of its own that DVC cannot read how to have it back."""
    from dvc.utils.serialize import ParseError
    from dvc.utils.strictyaml import YAMLValidationError

    if not isinstance(error, ParseError | YAMLValidationError):
        return usual
    path = os.path.normpath(error.path)
    committed = f"`git checkout HEAD -- {shlex.quote(path)}` brings the committed one back"
    if Path(path).name == "dvc.lock":
        return f"{committed}; without it `thaw run` takes what it computed before from DVC's cache."
    if path.endswith(".dvc"):
        return f"{committed}; without it `thaw data add` takes the data anew."
    return f"Mend it; {committed}."
