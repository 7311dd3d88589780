"""The outbox: an append-only file of tracking events, read back after a kill."""

import contextlib
import json
import os
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from thaw.files import digest, read_json

Event = dict[str, Any]


def outboxes_dir(home: Path) -> Path:
    """Where a project's outboxes lie."""
    return home / ".thaw" / "outbox"


def create_outbox(home: Path) -> "Outbox":
    """A new, empty outbox; names sort by time."""
    return Outbox(outboxes_dir(home) / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}")


def find_unfinished(home: Path, key: str, fingerprint: str) -> "Outbox | None":
    """The newest outbox in which run `key` was opened with `fingerprint` and never closed: that of a killed run."""
    folder = outboxes_dir(home)
    for path in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []:
        outbox = Outbox(path)
        opened = outbox.opened(key)
        if opened and opened.get("fingerprint") == fingerprint:
            return outbox
    return None


def newest_outbox(home: Path) -> "Outbox | None":
    """The one made last."""
    folder = outboxes_dir(home)
    newest = max(folder.iterdir(), default=None) if folder.is_dir() else None
    return Outbox(newest) if newest else None


class Outbox:
    """Events of one pipeline run, or of one stage run by DVC.

    A run within it goes by a `key` of the writer's choice; the shipping process gives it MLflow's run id (`run_ids`).
    Times are milliseconds since 1970, in UTC. Appending is safe from several threads.

    Args:
        folder: made with the first event. Holds `events.jsonl`, copies of the files to log, and the shipper's state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events_path = folder / "events.jsonl"
        self.run_ids_path = folder / "run_ids.json"
        self.problem_path = folder / "problem.txt"
        self.position_path = folder / "position.json"
        """How many bytes of the events are shipped."""
        self._lock = threading.Lock()

    def open_run(
        self,
        key: str,
        name: str,
        parent: str = "",
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        fingerprint: str = "",
    ) -> None:
        """Begin run `key`, or go on with it when it was begun before and never closed."""
        values = {name: str(value) for name, value in (params or {}).items()}
        self._append(
            op="open",
            run=key,
            name=name,
            parent=parent,
            tags=dict(tags or {}),
            params=values,
            fingerprint=fingerprint,
        )

    def log_tags(self, key: str, tags: Mapping[str, str]) -> None:
        self._append(op="tags", run=key, tags=dict(tags))

    def log_metrics(
        self, key: str, values: Mapping[str, float], step: int = 0, time_ms: int | None = None
    ) -> None:
        """Log finite numbers at `step`."""
        self._append(
            op="metrics", run=key, values=dict(values), step=step, **({"time": time_ms} if time_ms else {})
        )

    def log_file(self, key: str, path: Path, folder: str = "") -> None:
        """Log a file as it is now: a copy is kept until it is shipped."""
        kept = self.folder / "files" / digest(path)[:16] / path.name
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, kept)
        self._append(op="file", run=key, path=str(kept.relative_to(self.folder)), folder=folder)

    def log_dataset(self, key: str, name: str, version: str, source: str, context: str) -> None:
        """Log which version of which data the run used."""
        self._append(op="dataset", run=key, name=name, version=version, source=source, context=context)

    def log_model(self, key: str, model_dir: Path, source_dir: Path, registered_name: str) -> None:
        """Log a saved model with the code that loads it, and register it. The model is kept until it is shipped."""
        kept = self.folder / "models" / key
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(model_dir, kept)
        self._append(
            op="model",
            run=key,
            path=str(kept.relative_to(self.folder)),
            source=str(source_dir),
            name=registered_name,
        )

    def close_run(self, key: str, status: str = "FINISHED") -> None:
        """End run `key`: `FINISHED`, `FAILED` or `KILLED`."""
        self._append(op="close", run=key, status=status)

    def finish(self) -> None:
        """Say that no more events follow."""
        self._append(op="finish")

    def _append(self, **event: Any) -> None:
        line = json.dumps({"time": time.time_ns() // 1_000_000, **event}, ensure_ascii=False) + "\n"
        with self._lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.events_path.open("a+b") as file:
                if file.tell() and not _ends_whole(self.events_path):
                    file.write(b"\n")  # a kill tore the last line: it stays apart, and reading passes it over
                file.write(line.encode())

    def events(self, start: int = 0) -> Iterator[tuple[int, Event]]:
        """The events from byte `start` on, each with the byte at which it ends. A torn last line is left for later."""
        if not self.events_path.exists():
            return
        with self.events_path.open("rb") as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                start += len(line)
                with contextlib.suppress(ValueError):
                    yield start, json.loads(line)

    def opened(self, key: str) -> Event | None:
        """The event that opened run `key`, where it has not been closed since."""
        found = None
        for _, event in self.events():
            if event.get("run") == key and event["op"] in ("open", "close"):
                found = event if event["op"] == "open" else None
        return found

    def tags(self, key: str) -> dict[str, str]:
        """The tags that run `key` was given."""
        tags: dict[str, str] = {}
        for _, event in self.events():
            if event.get("run") == key:
                tags |= event.get("tags", {})
        return tags

    def is_finished(self) -> bool:
        """Whether no more events follow."""
        last = deque((event["op"] for _, event in self.events()), maxlen=1)
        return list(last) == ["finish"]

    def is_shipped(self) -> bool:
        """Whether it is finished and all of it is in MLflow."""
        if not self.position_path.exists() or not self.is_finished():
            return False
        return bool(read_json(self.position_path) == self.events_path.stat().st_size)

    def last_step(self, key: str) -> int:
        """The highest step at which a metric of run `key` was logged; -1 before the first."""
        steps = (
            event["step"] for _, event in self.events() if event["op"] == "metrics" and event["run"] == key
        )
        return max(steps, default=-1)

    def run_ids(self) -> dict[str, str]:
        """MLflow's run id of each run that has been shipped so far, and `experiment`, the experiment's."""
        try:
            return dict(read_json(self.run_ids_path))
        except FileNotFoundError:
            return {}

    def problem(self) -> str:
        """Why events cannot be shipped at present; empty when they can."""
        try:
            return self.problem_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
