"""Takes the events of an outbox to MLflow."""

from itertools import groupby

from thaw.files import write_json
from thaw.tracking.outbox import PIPELINE, Event, Outbox
from thaw.tracking.store import Store


class StoreGone(Exception):
    """The store that runs were shipped to is not there any more, or holds them no more."""


class _Refused(Exception):
    """An event that cannot be carried out, whatever the store says."""


class Shipper:
    """Takes the events of one outbox to MLflow, in order, and remembers how far it came.

    Every event is idempotent or remembered, so that shipping goes on after a kill where it stopped. An event that MLflow will
    never take is set aside, and shipping goes on with the next. Where the store was deleted and made anew, or holds the runs no
    more, shipping begins anew.
    """

    def __init__(self, outbox: Outbox, store: Store) -> None:
        self.outbox = outbox
        self.store = store
        outbox.tie(store.address, store.store_id)
        if outbox.left() and store.is_gone(self._shipped_ids()):
            outbox.reset()
            outbox.tie(store.address, store.store_id)
        self._position = outbox.position()
        self.finished = False

    def _shipped_ids(self) -> list[str]:
        return [run_id for key, run_id in self.outbox.run_ids().items() if key != "experiment"]

    def ship(self) -> None:
        """Ship what is new. An error of a store that is away leaves the position before the event that failed.

        Raises:
            StoreGone: the store is not the one that this shipper began with.
        """
        events = list(self.outbox.events(self._position))
        if events and self.store.is_gone([]):
            raise StoreGone
        for (op, run), group in groupby(events, lambda item: (item[1]["op"], item[1].get("run", ""))):
            batch = list(group)
            if op == "metrics" and self._log_metrics(run, [event for _, event in batch]):
                self._remember(batch[-1][0])
                continue
            for end, event in batch:
                self._carry(event)
                self._remember(end)

    def _log_metrics(self, run: str, events: list[Event]) -> bool:
        """Log the metrics of several events at once; false where one of them is refused."""
        try:
            self.store.log_metrics(self._run_id(run), events)
        except Exception as error:
            if not self.store.refusal(error):
                raise
            return False
        return True

    def _carry(self, event: Event) -> None:
        """Apply an event, or set it aside."""
        reason = self._attempt(event)
        if not reason:
            return
        if self.store.is_gone(self._shipped_ids()):
            raise StoreGone
        if self.store.revive(self.outbox.run_ids().get(event["run"], "")):
            reason = self._attempt(event)
        if reason:
            self.outbox.set_aside(event, reason)

    def _attempt(self, event: Event) -> str:
        """Apply an event; why it is refused, else empty."""
        try:
            self._apply(event)
        except _Refused as error:
            return str(error)
        except Exception as error:
            reason = self.store.refusal(error)
            if not reason:
                raise
            return reason
        return ""

    def _apply(self, event: Event) -> None:
        self.finished = event["op"] == "finish"
        if event["op"] == "open":
            self._open(event)
        elif event["op"] == "metrics":
            self.store.log_metrics(self._run_id(event["run"]), [event])
        elif not self.finished:
            if "path" in event and not (self.outbox.folder / event["path"]).exists():
                raise _Refused(f"{event['path']}: the copy kept in the outbox is gone")
            self.store.apply(self._run_id(event["run"]), event, self.outbox.folder)
            if event["op"] == "close" and event["run"] == PIPELINE:
                self.store.log_run_page(self._run_id(PIPELINE), self.outbox)

    def _open(self, event: Event) -> None:
        ids = self.outbox.run_ids()
        key = event["run"]
        if key in ids:
            self.store.reopen_run(ids[key], event)
        else:
            ids["experiment"] = self.store.experiment_id
            ids[key] = self.store.open_run(event, ids.get(event["parent"], ""))
            write_json(self.outbox.run_ids_path, ids)
            self.store.describe_run(ids[key], event)
        # The pipeline's run would have it before its result, where MLflow compares runs; trials end within seconds.
        if event["parent"] == PIPELINE:
            self.store.start_monitor(ids[key])

    def _run_id(self, key: str) -> str:
        ids = self.outbox.run_ids()
        if key not in ids:
            raise _Refused(f"MLflow has no run for {key}: its opening was refused")
        return ids[key]

    def _remember(self, position: int) -> None:
        self._position = position
        write_json(self.outbox.position_path, position)

    def close_open_runs(self, time_ms: int | None = None) -> None:
        """Mark the runs that a killed writer left open as killed: now, or when it died."""
        for key in self.outbox.running():
            self.outbox.mark_killed(key, time_ms)
        self.ship()
