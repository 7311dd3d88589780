"""Follows the journal that a training stage writes, and puts what is new into the outbox."""

import contextlib
import json
import logging
import threading
from pathlib import Path
from typing import Any

from thaw.tracking.outbox import Outbox
from thaw.tracking.run_data import curve_metrics

_POLL_SECONDS = 1.0

log = logging.getLogger("thaw.tracking")


class JournalFollower:
    """A thread that logs each epoch of a journal to runs, as it is written.

    Args:
        outbox: where to.
        keys: the runs that get the metrics.
        journal_path: JSON lines with `epoch` (from 1), `time` (seconds since 1970) and `metrics`.
        first_step: added to the epoch, so that the phases of a pipeline share one axis.
    """

    def __init__(
        self, outbox: Outbox, keys: tuple[str, ...], journal_path: Path, first_step: int = 0
    ) -> None:
        self._outbox = outbox
        self._journal_path = journal_path
        self._first_step = first_step
        self._last_steps = {key: max(outbox.last_step(key), first_step) for key in keys}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="journal", daemon=True)

    def __enter__(self) -> "JournalFollower":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._log_new()

    def _follow(self) -> None:
        told = False
        while not self._stop.wait(_POLL_SECONDS):
            self._log_new()
            problem = self._outbox.problem()
            if problem and not told:
                log.warning(
                    "tracking is down (%s); the run goes on, and what it logs is uploaded later", problem
                )
            told = bool(problem)

    def _log_new(self) -> None:
        for entry in read_journal(self._journal_path):
            step = self._first_step + entry["epoch"]
            for key, last in self._last_steps.items():
                if step > last:
                    values = curve_metrics(entry["metrics"])
                    self._outbox.log_metrics(key, values, step, round(entry["time"] * 1000))
                    self._last_steps[key] = step


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The entries of a journal; a line that a kill tore is passed over."""
    entries = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                entries.append(json.loads(line))
    return entries
