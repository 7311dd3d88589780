"""The record of a training: a journal that others read while it grows, and the curve that is its output."""

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

from thaw.files import write_text

COLUMNS = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate")

Row = dict[str, Any]
"""`{"epoch": int from 1, "step": int, "time": unix seconds, "metrics": {name: value}}`."""


def new_row(epoch: int, step: int, metrics: dict[str, float]) -> Row:
    """A row of the journal, with the time."""
    return {"epoch": epoch, "step": step, "time": round(time.time(), 3), "metrics": metrics}


class Journal:
    """Rows as JSON lines. A row is written when a checkpoint holds it: resuming never writes it a second time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = 0

    def start(self, rows: list[Row]) -> None:
        """Begin with the rows of the checkpoint that training goes on from, or with none."""
        write_text(self.path, "".join(map(_line, rows)))
        self._written = len(rows)

    def write(self, rows: list[Row]) -> None:
        """Append those of `rows` that are not there yet."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(map(_line, rows[self._written :]))
        self._written = len(rows)


def write_curve(path: Path, rows: list[Row]) -> None:
    """Write the curve as CSV, a row an epoch: what the journal holds less its times. Empty where nothing was measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        metrics = row["metrics"]
        writer.writerow([row["epoch"], *(_number(metrics.get(name)) for name in COLUMNS[1:])])
    write_text(path, text.getvalue())


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
