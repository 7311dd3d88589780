"""How far work is: a live bar on a terminal, a plain line now and then elsewhere.

A log message below `thaw` whose record has `done` and `total` (`extra={"done": 3, "total": 9}`) tells how far work is; a total
of 0 is not known. Such messages come by the thousand, and who works knows nothing of who looks: `thaw.progress.bar.Bar` draws
them, `Paced` lets few of them through.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TextIO

BAR_DRAWN = "THAW_BAR"
"""Of the environment: set where a process above draws a bar of what this one tells."""
_SILENT_SECONDS = 2.0
_LINE_SECONDS = 10.0
_THAW = logging.getLogger("thaw")
_LOG = logging.getLogger("thaw.progress")
"""Of who has no logger of his own to tell by."""


def is_live(stream: TextIO) -> bool:
    """Whether a bar can be drawn on `stream`: a terminal that somebody looks at."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def tells_progress(record: logging.LogRecord) -> bool:
    """Whether it is one of many that tell how far work is."""
    return hasattr(record, "done") and hasattr(record, "total")


def tell_progress(title: str, message: str = "", done: int = 0, total: int = 0) -> None:
    """Tell how far something is that has no logger of its own, by a title: a word or two."""
    _LOG.info("%s", message or title, extra={"title": title, "done": done, "total": total})


class Paced(logging.Filter):
    """Lets every message through, but of those that tell how far work is one after two seconds, then one in ten; none where a
    bar is drawn of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._work: object = None
        self._due = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if not tells_progress(record):
            return True
        if os.environ.get(BAR_DRAWN):
            return False
        now, work = time.monotonic(), (record.name, record.total)  # type: ignore[attr-defined]
        if work != self._work:
            self._work, self._due = work, now + _SILENT_SECONDS
        if now < self._due:
            return False
        self._due = now + _LINE_SECONDS
        return True


class View(Protocol):
    """What shows progress."""

    def tell(self, record: logging.LogRecord) -> None:
        """Show what a message tells that `tells_progress`."""

    def stop(self) -> None:
        """End, and leave nothing behind."""


@contextlib.contextmanager
def shown_by(view: View, logger: logging.Logger = _THAW) -> Iterator[None]:
    """Hand `view` what a logger, and those below it, tell of progress in the block, and stop it then."""
    handler = _Handing(view)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        view.stop()


class _Handing(logging.Handler):
    """Not the view itself: a library that sets logging up closes every handler that there is."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.addFilter(tells_progress)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        self._view.tell(record)


@contextlib.contextmanager
def showing(title: str, told: bool = True, ticking: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how far the work in the block is, once it has taken two seconds.

    Args:
        title: what is done, in a word or two.
        told: without it nothing is shown.
        ticking: show in between too, from a thread; not where the block forks processes.

    Yields:
        what tells that so many of so many are done; the messages of thaw's loggers tell it as well.
    """
    if not told:
        yield lambda done, total: None
        return
    with shown_by(_view(title, ticking)):
        yield lambda done, total: tell_progress(title, _counts(title, done, total), done, total)


def _counts(title: str, done: int, total: int) -> str:
    return f"{title}: {done:,} of {total:,}" if total else f"{title}: {done:,}"


def _view(title: str, ticking: bool) -> View:
    if not is_live(sys.stderr):
        return _Lines(title, ticking)
    from rich.console import Console

    from thaw.progress.bar import Bar

    return Bar(Console(stderr=True), title, _SILENT_SECONDS, ticking)


class _Lines:
    """The plain form of the bar. Where nothing is told in two seconds the title is, once."""

    def __init__(self, title: str, ticking: bool) -> None:
        self._paced = Paced()
        self._timer = threading.Timer(_SILENT_SECONDS, self._write, [f"{title} ..."])
        self._timer.daemon = True
        if ticking:
            self._timer.start()

    def tell(self, record: logging.LogRecord) -> None:
        self._timer.cancel()
        if self._paced.filter(record):
            self._write(record.getMessage())

    def _write(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def stop(self) -> None:
        self._timer.cancel()
