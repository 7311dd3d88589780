"""A run in MLflow that holds many: a parent, and a child for each training; recorded through the outbox, as all that is."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thaw.errors import ThawError
from thaw.project import home_dir
from thaw.redaction import redact
from thaw.tracking.names import DATA_TAG
from thaw.tracking.outbox import Outbox, create_outbox, find_unfinished
from thaw.tracking.run_data import describe_run
from thaw.tracking.shipment import Shipment
from thaw.tracking.summary import FAILURE_TAG, default_gate

_log = logging.getLogger("thaw.trials")


@dataclass(frozen=True)
class Recorded:
    """The parent run, open."""

    outbox: Outbox
    kind: str

    def record_child(
        self,
        key: str,
        name: str,
        metrics: Mapping[str, float],
        params: Mapping[str, Any] | None = None,
        steps: Mapping[int, Mapping[str, float]] | None = None,
    ) -> None:
        """Record a training that has ended, unless that was done before a kill.

        Args:
            steps: metrics of parts of it, by the part's number.
        """
        if key in self._closed():
            return
        self.outbox.open_run(key, name, self.kind, params=params)
        for step, values in (steps or {}).items():
            self.outbox.log_metrics(key, values, step)
        self.outbox.log_metrics(key, metrics)
        self.outbox.close_run(key)

    def _closed(self) -> set[str]:
        return {event["run"] for _, event in self.outbox.events() if event["op"] == "close"}

    def record_metrics(self, metrics: Mapping[str, float]) -> None:
        """Record what all of them amount to."""
        self.outbox.log_metrics(self.kind, metrics)

    def record_tags(self, tags: Mapping[str, str]) -> None:
        """Record what is told of them in words."""
        self.outbox.log_tags(self.kind, tags)

    def record_file(self, path: Path) -> None:
        """Record a file of the parent run."""
        self.outbox.log_file(self.kind, path)


@contextmanager
def recording(
    root: Path, kind: str, name: str, params: Mapping[str, Any], data: Mapping[str, str], fingerprint: str
) -> Iterator[Recorded]:
    """Record a parent run while the block runs; one that was killed with the same `fingerprint` is gone on with.

    Args:
        root: the project's folder.
        kind: `cross-validation` for example: the key of the run, and its tag `thaw.run`.
        params: of the run, by dotted key.
        data: version of each folder of data (`DvcRepo.data_version`).
        fingerprint: all that the trainings depend on.
    """
    home = home_dir(root)
    shipment = Shipment(home)
    outbox = find_unfinished(home, kind, fingerprint) or create_outbox(home)
    tags = describe_run(root, home) | {f"{DATA_TAG}{folder}": version for folder, version in data.items()}
    outbox.open_run(kind, name, tags=tags, params=params, fingerprint=fingerprint, unshown=default_gate(params))
    shipment.begin(outbox)
    status = ""  # of one that is killed none: it stays open, and the shipper, which outlives this process, marks it
    try:
        yield Recorded(outbox, kind)
        status = "FINISHED"
    except Exception as error:
        status = "FAILED"
        text = error.sentence if isinstance(error, ThawError) else str(error)
        outbox.log_tags(kind, {FAILURE_TAG: redact(text)})
        raise
    finally:
        if status:
            outbox.close_run(kind, status)
            outbox.finish()
            problem = shipment.wait()
            if problem:
                _log.warning("%s", problem)
