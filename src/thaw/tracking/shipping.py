"""`python -m thaw.tracking.shipping HOME` ships outboxes to MLflow, in a process beside the run that writes them."""

import contextlib
import os
import shutil
import sys
import threading
from pathlib import Path

from filelock import FileLock, Timeout

from thaw.errors import exiting_with_message
from thaw.files import write_text
from thaw.redaction import hide_in_logs, redact
from thaw.tracking.outbox import Outbox, all_outboxes
from thaw.tracking.shipper import Shipper, StoreGone
from thaw.tracking.store import Store

_POLL_SECONDS = 0.3
_LONGEST_WAIT_SECONDS = 30.0


def lock_of(outbox: Outbox, timeout: float) -> FileLock:
    """Held by the one process that ships an outbox."""
    return FileLock(outbox.folder / "shipper.lock", timeout=timeout)


def run_shipper(home: Path, outbox_dir: str = "") -> None:
    """Ship an outbox until its writer is done or gone; first what earlier runs could not ship.

    MLflow is loaded while the writer still gets ready. Standard input ends with the writer, however that ends.

    Args:
        outbox_dir: the outbox; when empty, the first line of standard input names it.
    """
    store = _open_store(home)
    line = outbox_dir or sys.stdin.readline().rstrip("\n")
    if not line:
        return
    outbox = Outbox(Path(line))
    gone = threading.Event()
    threading.Thread(target=_await_end, args=(gone,), name="writer", daemon=True).start()
    try:
        with lock_of(outbox, 60):
            if _ship_until_done(home, outbox, store, gone):
                shutil.rmtree(outbox.folder / "files", ignore_errors=True)
                shutil.rmtree(outbox.folder / "models", ignore_errors=True)
                _forget_shipped(home)
    except StoreGone:
        # Connections to the old database live on in MLflow's caches: only a new process is sure to open the new one.
        arguments = [sys.executable, "-m", "thaw.tracking.shipping", str(home), line]
        os.execv(sys.executable, arguments)  # noqa: S606


def _await_end(gone: threading.Event) -> None:
    with contextlib.suppress(OSError):
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
                ship_leftovers(home, store, outbox)
                shipper = Shipper(outbox, store)
            shipper.ship()
            outbox.problem_path.unlink(missing_ok=True)
            wait = _POLL_SECONDS
            if shipper.finished:
                return True
            if orphaned:
                shipper.close_open_runs()
                return outbox.is_shipped()
        except StoreGone:
            raise
        except Exception as error:
            if store and store.is_database_gone():
                raise StoreGone from error
            write_text(outbox.problem_path, redact(f"{type(error).__name__}: {error}"))
            if orphaned or outbox.is_finished():
                return False
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        gone.wait(wait)


def ship_leftovers(home: Path, store: Store, current: Outbox | None = None) -> None:
    """Ship what earlier runs left, and mark the runs of those that were killed. What went to another store stays."""
    for outbox in all_outboxes(home):
        if current and outbox.folder == current.folder:
            continue
        if outbox.events_path.exists() and outbox.is_for(store.address):
            with contextlib.suppress(Timeout), lock_of(outbox, 0):
                ship_leftover(outbox, store)


def ship_leftover(outbox: Outbox, store: Store) -> None:
    """Ship the rest of an outbox whose writer has ended, and mark what a killed one left open."""
    if not outbox.left() and not outbox.running():
        return
    died_ms = outbox.last_time()
    shipper = Shipper(outbox, store)
    shipper.ship()
    if not outbox.is_finished():
        shipper.close_open_runs(died_ms)
    outbox.problem_path.unlink(missing_ok=True)


def _forget_shipped(home: Path, keep: int = 20) -> None:
    """Remove the oldest outboxes once everything in them is shipped."""
    for outbox in all_outboxes(home)[:-keep]:
        if outbox.is_shipped():
            shutil.rmtree(outbox.folder, ignore_errors=True)


if __name__ == "__main__":
    hide_in_logs()
    with exiting_with_message():
        run_shipper(Path(sys.argv[1]), *sys.argv[2:])
