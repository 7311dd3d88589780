"""The errors a user can mend: each names what is wrong and the cure."""

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from thaw.redaction import redact

_CURES = {
    errno.EACCES: "Give yourself the right to read and write there.",
    errno.EPERM: "Give yourself the right to read and write there.",
    errno.EROFS: "The disk is read-only; run in a folder that is not.",
    errno.ENOSPC: "Make room on the disk and run again: what is done is kept.",
    errno.EDQUOT: "Your share of the disk is used up: make room and run again; what is done is kept.",
}


class ThawError(Exception):
    """Something the user can mend. The command line prints it without a traceback.

    Args:
        reason: what is wrong, with the file or the key it is about.
        cure: what to do about it, a whole sentence.
    """

    exit_code = 2

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(reason, cure)
        self.reason = reason
        self.cure = cure

    @property
    def sentence(self) -> str:
        """Both in one line, as it stands wherever a run's failure is told."""
        text = f"{self.reason.rstrip('.')}. Cure: {self.cure}" if self.cure else self.reason
        return " ".join(text.split())

    def __str__(self) -> str:
        return f"{self.reason}\n  cure: {self.cure}" if self.cure else self.reason


class NotFinite(ThawError):
    """A loss that is not finite: the training diverged."""


def explain_disk(error: OSError) -> ThawError | None:
    """What a full or forbidden disk says, in one message; None for any other error of the system."""
    cure = _CURES.get(error.errno or 0)
    return ThawError(f"{error.filename or 'the disk'}: {error.strerror}", cure) if cure else None


@contextmanager
def explaining_disk() -> Iterator[None]:
    """Turn what `explain_disk` explains into its error; any other error passes."""
    try:
        yield
    except OSError as error:
        explained = explain_disk(error)
        if explained is None:
            raise
        raise explained from error


@contextmanager
def exiting_with_message() -> Iterator[None]:
    """Print an error the user can mend, without a traceback, and exit with its code; secrets are hidden in any error."""
    try:
        with explaining_disk():
            yield
    except ThawError as error:
        print(redact(f"error: {error}"), file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception:
        print(redact(traceback.format_exc()), end="", file=sys.stderr)
        sys.exit(1)
