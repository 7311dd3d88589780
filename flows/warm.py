"""Loaded by the fork server before it forks: Keras and what it computes with, without running an operation."""

import os

from flows.processes import FLOW_PID
from thaw.devices import prepare_backend
from thaw.processes import die_with_parent

die_with_parent(int(os.environ[FLOW_PID]))
prepare_backend()

# While it is imported TensorFlow prints notices that no setting turns off.
_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import thaw.backends  # noqa: F401
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)
