"""Loaded by the fork server before it forks: the libraries that stages compute with, without running an operation.

None of thaw's own modules that a stage depends on: an edit of one while the run is at work has to reach the stages after it.
"""

import importlib
import os

from flows.processes import FLOW_PID
from thaw.devices import prepare_backend
from thaw.processes import die_with_parent

_LIBRARIES = ("keras", "pandas", "pyarrow.parquet", "PIL.Image", "matplotlib.figure", "scipy.stats", "sklearn.metrics")

die_with_parent(int(os.environ[FLOW_PID]))
prepare_backend()

# While it is imported TensorFlow prints notices that no setting turns off.
_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    for name in _LIBRARIES:
        importlib.import_module(name)
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)
