"""The outbox: an append-only file of tracking events, read back after a kill."""

import contextlib
import json
import os
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from thaw.files import digest, read_json, replacing, write_json
from thaw.redaction import redact
from thaw.tracking.address import address_digest
from thaw.tracking.names import PARAM_LIMIT, TAG_LIMIT, valid_key, valid_value

Event = dict[str, Any]
PIPELINE = "pipeline"
"""The key of the parent run."""
_NAME_LIMIT = 250


def outboxes_dir(home: Path) -> Path:
    """Where a project's outboxes lie."""
    return home / ".thaw" / "outbox"


def create_outbox(home: Path) -> "Outbox":
    """A new, empty outbox; names sort by time."""
    return Outbox(outboxes_dir(home) / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}")


def find_unfinished(home: Path, key: str, fingerprint: str) -> "Outbox | None":
    """The newest outbox in which run `key` was opened with `fingerprint` and never closed: that of a killed run.

    Only one whose runs are in today's tracking store, and whose writer is dead.
    """
    address = address_digest(home)
    for outbox in reversed(all_outboxes(home)):
        opened = outbox.opened(key) or {}
        killed = opened.get("fingerprint") == fingerprint and not _is_alive(opened.get("writer"))
        if killed and outbox.is_for(address):
            return outbox
    return None


def all_outboxes(home: Path) -> list["Outbox"]:
    """The outboxes, the oldest first."""
    folder = outboxes_dir(home)
    return [Outbox(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []


def _this_process() -> list[float]:
    return [os.getpid(), psutil.Process().create_time()]


def _is_alive(writer: list[float] | None) -> bool:
    """Whether a process other than this one, as `_this_process` told it, is at work."""
    if writer is None or writer[0] == os.getpid():
        return False
    try:
        return psutil.Process(int(writer[0])).create_time() == writer[1]
    except psutil.Error:
        return False


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
        self.refused_path = folder / "refused.jsonl"
        """The events that MLflow will never take, each with the reason."""
        self.store_path = folder / "store.json"
        """The store that holds the runs: a digest of its address, and its id."""
        self._lock = threading.Lock()

    def open_run(
        self,
        key: str,
        name: str,
        parent: str = "",
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        fingerprint: str = "",
        unshown: Collection[str] = (),
    ) -> None:
        """Begin run `key`, or go on with it when it was begun before and never closed.

        Args:
            unshown: names of `params` that are held (`params`) and not shipped to MLflow.
        """
        values = {valid_key(name): valid_value(value, PARAM_LIMIT) for name, value in (params or {}).items()}
        self._append(
            op="open",
            run=key,
            name=valid_value(name, _NAME_LIMIT),
            parent=parent,
            tags=_valid_tags(tags or {}),
            params=values,
            unshown=sorted(map(valid_key, unshown)),
            fingerprint=fingerprint,
            writer=_this_process(),
        )

    def log_tags(self, key: str, tags: Mapping[str, str]) -> None:
        self._append(op="tags", run=key, tags=_valid_tags(tags))

    def log_metrics(
        self, key: str, values: Mapping[str, float], step: int = 0, time_ms: int | None = None
    ) -> None:
        """Log finite numbers at `step`."""
        valid = {valid_key(name): value for name, value in values.items()}
        self._append(op="metrics", run=key, values=valid, step=step, **({"time": time_ms} if time_ms else {}))

    def log_file(self, key: str, path: Path, folder: str = "") -> None:
        """Log a file as it is now: a copy is kept until it is shipped."""
        self._append(op="file", run=key, path=self._keep(path), folder=folder)

    def _keep(self, path: Path) -> str:
        """Copy a file to where it stays until it is shipped; the place in the outbox."""
        kept = self._kept_path(path)
        if not kept.exists():
            with replacing(kept) as temporary:
                shutil.copyfile(path, temporary)
        return str(kept.relative_to(self.folder))

    def _kept_path(self, path: Path) -> Path:
        return self.folder / "files" / digest(path)[:16] / path.name

    def log_folder(self, key: str, source: Path, folder: str) -> None:
        """Log the files below `source` as they are now; those that were logged with the same bytes are not logged again."""
        known = self.files(key)
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            place = "/".join([folder, *path.relative_to(source).parts[:-1]])
            if known.get(f"{place}/{path.name}") != str(self._kept_path(path).relative_to(self.folder)):
                self.log_file(key, path, place)

    def log_dataset(
        self, key: str, name: str, version: str, source: str, context: str, schema: str = "", profile: str = ""
    ) -> None:
        """Log which version of which data the run used.

        Args:
            schema: its columns, as MLflow writes them (JSON).
            profile: what is counted of it (JSON).
        """
        described = {"schema": schema, "profile": profile}
        self._append(op="dataset", run=key, name=name, version=version, source=source, context=context, **described)

    def has_dataset(self, key: str) -> bool:
        """Whether run `key` was given its data set."""
        return any(event["op"] == "dataset" and event["run"] == key for _, event in self.events())

    def log_model(self, key: str, model_dir: Path, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Log a saved model and register it, unless it is registered. The model is kept until it is shipped.

        Args:
            name: the registered model's.
            version: DVC's hash of the model, by which it is known again.
            tags: of the registered version.
        """
        kept = self.folder / "models" / (version or key)
        if not kept.exists():
            partial = kept.with_name(f"{kept.name}.{uuid.uuid4().hex[:8]}.partial")
            shutil.copytree(model_dir, partial)
            partial.replace(kept)
        path = str(kept.relative_to(self.folder))
        self._append(op="model", run=key, path=path, name=name, version=version, tags=_valid_tags(tags))

    def log_report(self, key: str, path: Path, weights: str) -> None:
        """Log the report that a run's own page is made of once the run is closed: a copy is kept.

        Args:
            weights: SHA-256 of the weights of the model that it tells of.
        """
        self._append(op="report", run=key, path=self._keep(path), weights=weights)

    def log_links(self, key: str, links: Mapping[str, str]) -> None:
        """Log addresses, by their titles, for the run's own page."""
        self._append(op="links", run=key, links=dict(links))

    def report(self, key: str) -> dict[str, Any]:
        """The newest report of run `key`: `path` in the outbox, `weights` and `links`; empty where there is none."""
        found: dict[str, Any] = {}
        links: dict[str, str] = {}
        for _, event in self.events():
            if event.get("run") == key and event["op"] in ("report", "links"):
                links |= event.get("links", {})
                found = event if event["op"] == "report" else found
        return {"path": found["path"], "weights": found["weights"], "links": links} if found else {}

    def close_run(self, key: str, status: str = "FINISHED") -> None:
        """End run `key`: `FINISHED`, `FAILED` or `KILLED`."""
        self._append(op="close", run=key, status=status)

    def mark_killed(self, key: str, time_ms: int | None = None) -> None:
        """Note when the writer of run `key`, which was killed, died. The run stays open here: a later run may go on in it."""
        self._append(op="killed", run=key, **({"time": time_ms} if time_ms else {}))

    def finish(self) -> None:
        """Say that no more events follow."""
        self._append(op="finish")

    def _append(self, **event: Any) -> None:
        line = json.dumps({"time": time.time_ns() // 1_000_000, **event}) + "\n"
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

    def running(self) -> list[str]:
        """The runs that were opened and neither closed nor marked as killed since, children first."""
        ends: dict[str, str] = {}
        for _, event in self.events():
            if event["op"] in ("open", "close", "killed"):
                ends[event["run"]] = event["op"]
        return [key for key, op in reversed(ends.items()) if op == "open"]

    def last_time(self) -> int:
        """When the last event was written (ms)."""
        return int(self.events_path.stat().st_mtime * 1000)

    def position(self) -> int:
        """How many bytes of the events are shipped."""
        return int(read_json(self.position_path)) if self.position_path.exists() else 0

    def left(self) -> int:
        """How many events are not shipped."""
        return sum(1 for _ in self.events(self.position()))

    def is_for(self, address: str) -> bool:
        """Whether it may be shipped to the store at `address` (`address_digest`): it was, or to none so far."""
        return not self.store_path.exists() or read_json(self.store_path)["address"] == address

    def reset(self) -> None:
        """Forget what was shipped: the store that held it is gone."""
        for path in (self.position_path, self.run_ids_path, self.store_path, self.refused_path):
            path.unlink(missing_ok=True)

    def tie(self, address: str, store_id: str) -> None:
        """Note the store that holds the runs; forget what was shipped to another one."""
        tied = {"address": address, "store": store_id}
        if self.store_path.exists() and read_json(self.store_path) != tied:
            self.reset()
        write_json(self.store_path, tied)

    def set_aside(self, event: Event, reason: str) -> None:
        """Keep an event that MLflow will never take, with the reason."""
        with self.refused_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "reason": redact(reason)}) + "\n")

    def refused(self) -> list[dict[str, Any]]:
        """The events that MLflow would not take: `event` and `reason` of each."""
        if not self.refused_path.exists():
            return []
        return [json.loads(line) for line in self.refused_path.read_text(encoding="utf-8").splitlines()]

    def files(self, key: str) -> dict[str, str]:
        """The files that run `key` was given: path among its artifacts to the place of the copy in the outbox."""
        return {
            f"{event['folder']}/{Path(event['path']).name}".lstrip("/"): event["path"]
            for _, event in self.events()
            if event["op"] == "file" and event["run"] == key
        }

    def tags(self, key: str) -> dict[str, str]:
        """The tags that run `key` was given."""
        tags: dict[str, str] = {}
        for _, event in self.events():
            if event.get("run") == key:
                tags |= event.get("tags", {})
        return tags

    def params(self, key: str) -> dict[str, str]:
        """The parameters that run `key` was first opened with."""
        for _, event in self.events():
            if event["op"] == "open" and event["run"] == key:
                return dict(event["params"])
        return {}

    def is_finished(self) -> bool:
        """Whether no more events follow."""
        last = deque((event["op"] for _, event in self.events()), maxlen=1)
        return list(last) == ["finish"]

    def is_shipped(self) -> bool:
        """Whether it is finished and all of it is in MLflow."""
        return self.is_finished() and self.position() == self.events_path.stat().st_size

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


def _valid_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    return {valid_key(key): valid_value(value, TAG_LIMIT) for key, value in tags.items()}


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
