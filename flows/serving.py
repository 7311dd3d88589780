"""Serve the flow as a Prefect deployment: triggered from Prefect's UI, its command line, a schedule, or changed data."""

import logging
import threading
from pathlib import Path

from flows.server import use_named_server
from thaw.errors import ThawError
from thaw.prefect_pages import FLOW
from thaw.project import project_name
from thaw.redaction import redact

_SETTLE_MS = 2000

log = logging.getLogger("thaw.serving")


def serve(root: Path, cron: str | None = None, watch: bool = False) -> None:
    """Serve until interrupted. One run at a time; triggered ones wait in a queue.

    Args:
        cron: a schedule.
        watch: start a run when a file below `data/raw` has changed and two seconds have passed.

    Raises:
        ThawError: there is no Prefect server, or `cron` is no schedule.
    """
    if cron is not None:
        _require_schedule(cron)
    if not use_named_server():
        raise ThawError("no Prefect server to serve to", "Start one with `thaw ui`, or set PREFECT_API_URL.")
    from flows.pipeline import pipeline

    if watch:
        threading.Thread(target=_watch, args=(root / "data" / "raw", project_name(root)), name="watch", daemon=True).start()
    name = project_name(root)
    pipeline.serve(
        name=name,
        tags=[name],
        cron=cron,
        limit=1,
        description=f"thaw's pipeline in {root.name}: the stages that are out of date",
    )


def _require_schedule(cron: str) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    try:
        CronSchedule(cron=cron)
    except ValueError:
        cure = 'Name minute, hour, day, month and weekday: `thaw deploy --cron "0 6 * * *"` runs at six every day.'
        raise ThawError(f"--cron {cron!r}: not a schedule", cure) from None


def _watch(raw_dir: Path, deployment: str) -> None:
    from prefect.deployments import run_deployment
    from watchfiles import watch

    raw_dir.mkdir(parents=True, exist_ok=True)
    for changes in watch(raw_dir, debounce=_SETTLE_MS, step=_SETTLE_MS // 2, watch_filter=None):
        print(f"{len(changes)} files changed in {raw_dir.name}; starting a run", flush=True)
        try:
            run_deployment(f"{FLOW}/{deployment}", timeout=0, tags=["data-changed"])
        except Exception as error:
            print(redact(f"the run could not be started: {error}"), flush=True)
