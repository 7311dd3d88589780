"""Ships outboxes to MLflow, in a process of its own beside the run that writes them."""

import contextlib
import shutil
import sys
import threading
import time
from itertools import groupby
from pathlib import Path

from filelock import FileLock, Timeout

from thaw.errors import exiting_with_message
from thaw.files import read_json, write_json, write_text
from thaw.redaction import hide_in_logs, redact
from thaw.tracking.outbox import Event, Outbox, outboxes_dir
from thaw.tracking.store import Store

_POLL_SECONDS = 0.3
_LONGEST_WAIT_SECONDS = 30.0


class Shipper:
    """Takes the events of one outbox to MLflow, in order, and remembers how far it came.

    Every event is idempotent or remembered, so that shipping goes on after a kill where it stopped.
    """

    def __init__(self, outbox: Outbox, store: Store) -> None:
        self.outbox = outbox
        self.store = store
        self._position: int = read_json(outbox.position_path) if outbox.position_path.exists() else 0
        self.finished = False

    def ship(self) -> None:
        """Ship what is new. An error of MLflow leaves the position before the event that failed."""
        events = list(self.outbox.events(self._position))
        for (op, run), group in groupby(events, lambda item: (item[1]["op"], item[1].get("run", ""))):
            batch = list(group)
            if op == "metrics":
                self.store.log_metrics(self._run_id(run), [event for _, event in batch])
                self._remember(batch[-1][0])
                continue
            for end, event in batch:
                self._apply(event)
                self._remember(end)

    def _apply(self, event: Event) -> None:
        if event["op"] == "finish":
            self.finished = True
            return
        self.finished = False
        if event["op"] == "open":
            self._open(event)
            return
        run_id = self._run_id(event["run"])
        self.store.apply(run_id, event, self.outbox.folder)

    def _open(self, event: Event) -> None:
        ids = self.outbox.run_ids()
        key = event["run"]
        if key in ids:
            self.store.reopen_run(ids[key])
        else:
            ids["experiment"] = self.store.experiment_id
            ids[key] = self.store.open_run(event, ids.get(event["parent"], ""))
            write_json(self.outbox.run_ids_path, ids)
        if not event["parent"]:
            self.store.start_monitor(ids[key])

    def _run_id(self, key: str) -> str:
        return self.outbox.run_ids()[key]

    def _remember(self, position: int) -> None:
        self._position = position
        write_json(self.outbox.position_path, position)

    def close_open_runs(self) -> None:
        """Mark what a killed run left open."""
        for key, run_id in reversed(self.outbox.run_ids().items()):
            if key != "experiment" and self.outbox.opened(key):
                now_ms = time.time_ns() // 1_000_000
                self.store.apply(
                    run_id, {"op": "close", "status": "KILLED", "time": now_ms}, self.outbox.folder
                )


def run_shipper(home: Path) -> None:
    """Ship the outbox that standard input names, until its writer is done or gone; first what earlier runs could not ship.

    MLflow is loaded while the writer still gets ready. Standard input ends with the writer, however that ends.
    """
    store = _open_store(home)
    line = sys.stdin.readline().rstrip("\n")
    if not line:
        return
    outbox = Outbox(Path(line))
    gone = threading.Event()
    threading.Thread(target=_await_end, args=(gone,), name="writer", daemon=True).start()
    with FileLock(outbox.folder / "shipper.lock", timeout=60):
        if _ship_until_done(home, outbox, store, gone):
            shutil.rmtree(outbox.folder / "files", ignore_errors=True)
            shutil.rmtree(outbox.folder / "models", ignore_errors=True)
            _forget_shipped(home)


def _await_end(gone: threading.Event) -> None:
    sys.stdin.read()
    gone.set()


def _open_store(home: Path) -> Store | None:
    try:
        return Store(home)
    except Exception as error:
        print(redact(f"{type(error).__name__}: {error}"), file=sys.stderr)
        return None


def _ship_until_done(home: Path, outbox: Outbox, store: Store | None, gone: threading.Event) -> bool:
    """Whether all was shipped; false when the writer has ended and something is left for the next run."""
    shipper = None
    wait = _POLL_SECONDS
    while True:
        orphaned = gone.is_set()
        try:
            store = store or Store(home)
            if shipper is None:
                _ship_leftovers(home, outbox, store)
                shipper = Shipper(outbox, store)
            shipper.ship()
            outbox.problem_path.unlink(missing_ok=True)
            wait = _POLL_SECONDS
            if shipper.finished:
                return True
            if orphaned:
                shipper.close_open_runs()
                return False
        except Exception as error:
            write_text(outbox.problem_path, redact(f"{type(error).__name__}: {error}"))
            if orphaned or outbox.is_finished():
                return False
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        gone.wait(wait)


def _ship_leftovers(home: Path, current: Outbox, store: Store) -> None:
    """Ship what earlier runs left, and mark the runs of those that were killed."""
    for folder in sorted(outboxes_dir(home).iterdir()):
        if folder == current.folder or not (folder / "events.jsonl").exists():
            continue
        with contextlib.suppress(Timeout), FileLock(folder / "shipper.lock", timeout=0):
            shipper = Shipper(Outbox(folder), store)
            shipper.ship()
            if not shipper.finished:
                shipper.close_open_runs()


def _forget_shipped(home: Path, keep: int = 20) -> None:
    """Remove the oldest outboxes once everything in them is shipped."""
    for folder in sorted(outboxes_dir(home).iterdir())[:-keep]:
        outbox = Outbox(folder)
        if outbox.is_shipped():
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    hide_in_logs()
    with exiting_with_message():
        run_shipper(Path(sys.argv[1]))
