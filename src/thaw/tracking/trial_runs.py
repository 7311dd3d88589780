"""A run with a child for each of its trials: how a search, or several seeds, stand in MLflow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thaw.tracking.outbox import create_outbox, find_unfinished
from thaw.tracking.run_data import describe_run
from thaw.tracking.shipment import Shipment
from thaw.tracking.summary import NAME_TAG


class TrialRuns:
    """Logs trials to the outbox while they end; a process beside ships them.

    A parent that was killed is gone on with: what it has logged is not logged again.

    Args:
        root: the project's folder.
        kind: the parent's key in the outbox, `search` or `seeds`.
        title: the parent's name.
        fingerprint: all that decides the trials.
        params: of the parent, which the trials have in common.
    """

    def __init__(self, root: Path, kind: str, title: str, fingerprint: str, params: Mapping[str, Any]) -> None:
        self._kind = kind
        self._shipment = Shipment(root)
        self._outbox = find_unfinished(root, kind, fingerprint) or create_outbox(root)
        tags = {**describe_run(root, root), NAME_TAG: title}
        self._outbox.open_run(kind, title, tags=tags, params=params, fingerprint=fingerprint)
        self._shipment.begin(self._outbox)
        self._known = {event["run"] for _, event in self._outbox.events() if event["op"] == "close"}

    def log_trial(
        self,
        key: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        steps: Mapping[int, Mapping[str, float]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log a trial that has ended, unless it is.

        Args:
            key: its name.
            params: what it sets.
            metrics: of the whole of it.
            steps: metrics of each of its folds, by the fold's number.
        """
        if key in self._known:
            return
        self._outbox.open_run(key, key, self._kind, params=params, tags=tags)
        for step, values in (steps or {}).items():
            self._outbox.log_metrics(key, values, step)
        self._outbox.log_metrics(key, metrics)
        self._outbox.close_run(key)

    def finish(self, metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
        """Close the parent with its result, and wait until all is in MLflow; what to tell the user, empty when all is well."""
        self._outbox.log_metrics(self._kind, metrics)
        self._outbox.log_tags(self._kind, tags)
        return self._close("FINISHED")

    def fail(self) -> None:
        """Close the parent as failed."""
        self._close("FAILED")

    def _close(self, status: str) -> str:
        self._outbox.close_run(self._kind, status)
        self._outbox.finish()
        return self._shipment.wait()
