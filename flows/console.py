"""What a run shows on a terminal: its lines, and below them a bar that tells how far the stage at work is."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, ClassVar

from rich.console import Console
from rich.text import Text

from thaw.progress import BAR_DRAWN, is_live, shown_by
from thaw.progress.bar import Bar

_CONSOLE = Console(stderr=True, highlight=False)
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}
_TITLE_WIDTH = 13
_END = re.compile(r"Finished in state \w+\((?:'(?P<outcome>\w+)')?")
_ENDS = {"unchanged": "up to date", "restored": "from the cache"}


class Lines(logging.Handler):
    """Prefect's console, of a terminal: the stage at work and the message, above the bar, without Prefect's own columns.

    Prefect makes it (`showing_stages`), with the arguments of its own handler.
    """

    bar: ClassVar[Bar | None] = None
    """The one that is drawn: its title is that of the lines above it."""

    def __init__(self, **_settings: Any) -> None:
        super().__init__()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            title = str(getattr(record, "task_run_name", "") or (self.bar.title if self.bar else ""))[:_TITLE_WIDTH]
            text = _without_prefects_words(self.format(record) if record.exc_info else record.getMessage())
            if not text:
                return
            line = Text.assemble((f"{title:{_TITLE_WIDTH}} ", "dim"), (text, _STYLES.get(record.levelno, "")))
            _CONSOLE.print(line, soft_wrap=True)
        except Exception:
            self.handleError(record)


def _without_prefects_words(message: str) -> str:
    """A message less what Prefect says of each task and flow; of a stage that did not run, what became of it."""
    end = _END.match(message)
    if end:
        return _ENDS.get(end["outcome"], "")
    return "" if message.startswith("Beginning flow run ") else message


@contextlib.contextmanager
def showing_stages(quiet: bool) -> Iterator[None]:
    """A bar while the block runs, where stderr is a terminal; call it before Prefect is imported."""
    if quiet or not is_live(sys.stderr):
        yield
        return
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS", f"{Lines.__module__}.{Lines.__name__}")
    # What the flow tells of progress is for the bar alone: Prefect would show and keep it, too.
    logging.getLogger("thaw.progress").propagate = False
    os.environ[BAR_DRAWN] = "1"
    Lines.bar = Bar(_CONSOLE, "getting ready")
    with shown_by(Lines.bar, logging.getLogger("thaw.progress")):
        yield
