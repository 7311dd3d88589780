"""The bar on a terminal."""

import logging
import threading
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
from rich.text import Text

_BAR_WIDTH = 20
_REDRAW_SECONDS = 0.1


class Bar:
    """Draws how far work is below the lines of `console`: what is at work, a bar, the message, the time left.

    Args:
        title: what is at work, unless a record has a `title`.
        after: seconds of work before it is drawn.
        ticking: draw in between too, from a thread; without one a process may fork while it stands.
    """

    def __init__(self, console: Console, title: str = "", after: float = 0.0, ticking: bool = True) -> None:
        title_column, message = (TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[message]"))
        columns = title_column, BarColumn(_BAR_WIDTH), TaskProgressColumn(), message, _Clock()
        self._progress = Progress(*columns, console=console, auto_refresh=ticking, transient=True)
        self._work = title, 0
        self._task = self._progress.add_task(title, total=None, message="")
        self._is_stopped, self._ticking = False, ticking
        self._due = time.monotonic() + after
        self._lock = threading.Lock()
        self._timer = threading.Timer(after, self._start)
        self._timer.daemon = True
        if ticking:
            self._timer.start()

    @property
    def title(self) -> str:
        """What is at work."""
        return self._work[0]

    def _start(self) -> None:
        with self._lock:
            if not self._is_stopped:
                self._progress.start()

    def tell(self, record: logging.LogRecord) -> None:
        """Draw what a message tells that `thaw.progress.tells_progress`."""
        done, total = record.done, record.total  # type: ignore[attr-defined]
        work = getattr(record, "title", self._work[0]), total
        if work != self._work:
            self._progress.remove_task(self._task)
            self._task = self._progress.add_task(work[0], total=total or None, message="")
            self._work = work
        message = record.getMessage().removeprefix(work[0]).removeprefix(": ")
        self._progress.update(self._task, completed=done, message=message)
        now = time.monotonic()
        if not self._ticking and now >= self._due:
            self._start()
            self._progress.refresh()
            self._due = now + _REDRAW_SECONDS

    def stop(self) -> None:
        """Remove the bar."""
        self._timer.cancel()
        with self._lock:
            self._is_stopped = True
            self._progress.stop()


class _Clock(ProgressColumn):
    """The time left, where it is known; else the time that work has taken."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text(_duration(task.elapsed or 0) if left is None else f"{_duration(left)} left", style="dim")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
