"""Ships what is left in all outboxes, and tells what stays and why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import Timeout

from thaw.redaction import redact
from thaw.tracking.outbox import Outbox, all_outboxes
from thaw.tracking.shipping import lock_of, ship_leftover
from thaw.tracking.store import Store


@dataclass(frozen=True)
class Standing:
    """How far an outbox is shipped.

    Attributes:
        outbox: its name.
        run: the name of its first run.
        left: how many events are not shipped.
        reason: why they are not; empty when all are.
        refused: `event` and `reason` of each event that MLflow will never take.
    """

    outbox: str
    run: str
    left: int
    reason: str
    refused: list[dict[str, Any]]


def sync(home: Path) -> list[Standing]:
    """Ship what is left now; the outboxes of which something is left, or was refused."""
    outboxes = [outbox for outbox in all_outboxes(home) if outbox.events_path.exists()]
    store: Store | None = None
    down = ""
    if any(outbox.left() or outbox.running() for outbox in outboxes):
        try:
            store = Store(home)
        except Exception as error:
            down = redact(f"tracking is down ({type(error).__name__}: {error})")
    standings = [_stand(outbox, down or _ship(outbox, store)) for outbox in outboxes]
    return [standing for standing in standings if standing.left or standing.refused]


def _ship(outbox: Outbox, store: Store | None) -> str:
    """Ship an outbox; why something is left."""
    if store is None:
        return ""
    if not outbox.is_for(store.address):
        return "its runs are in another tracking store: set MLFLOW_TRACKING_URI to that one"
    try:
        with lock_of(outbox, 0):
            ship_leftover(outbox, store)
    except Timeout:
        return "a process ships it now"
    except Exception as error:
        return redact(f"{type(error).__name__}: {error}")
    return ""


def _stand(outbox: Outbox, reason: str) -> Standing:
    name = next((event["name"] for _, event in outbox.events() if event["op"] == "open"), "")
    left = outbox.left()
    return Standing(outbox.folder.name, name, left, reason if left else "", outbox.refused())
