"""How a run ended by its stages, which stands though Prefect's server is gone by then."""

import logging
import sys
from typing import Any

from flows.results import Outcome
from thaw.redaction import redact

_ended: list[Outcome | Exception] = []
# What Prefect logs, with tracebacks, of a server that is gone.
_OF_A_LOST_SERVER = ("ConnectError(", "Unable to connect to ", "Service 'EventsWorker' failed")
_OF_A_FAILURE = ("Finished in state Failed(",)
"""What Prefect logs of each task and flow that failed: the error's own words, which stand at the end once more."""
_LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.events.clients", "prefect._internal.concurrency")


def remember(outcome: Outcome | Exception) -> None:
    """Keep what the flow that is at work came to."""
    _ended.append(outcome)


def run_pipeline(**parameters: Any) -> Outcome:
    """Call the flow; its stages decide what it came to. Where Prefect's server is gone one line says so.

    Raises:
        ThawError, StageFailed, StageKilled: as the stages'.
    """
    from flows.pipeline import pipeline

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_of_interest)
    logging.raiseExceptions = (
        False  # else Prefect prints each batch of messages that its server does not take
    )
    _ended.clear()
    try:
        came_to = pipeline(**parameters, return_state=True).result(raise_on_failure=False)
    except Exception as error:
        came_to = error
    outcome = _ended[0] if _ended else came_to
    if isinstance(came_to, Exception) and came_to is not outcome:
        reason = (str(came_to) or type(came_to).__name__).splitlines()[0]
        print(redact(f"warning: Prefect did not record how the run ended ({reason})"), file=sys.stderr)
    if isinstance(outcome, BaseException):
        raise outcome
    assert isinstance(outcome, Outcome)
    return outcome


def _is_of_interest(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(part in message for part in (*_OF_A_LOST_SERVER, *_OF_A_FAILURE))
