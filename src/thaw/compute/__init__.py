"""Work over shards, in this machine's processes or on a Ray cluster: results in order, few in flight, lost workers made good.

Where work runs never changes what comes out. A task is handed paths and numbers, and reads the data where it runs.
"""

from thaw.compute.choosing import choose, open_executor
from thaw.compute.executor import Executor, Isolated
from thaw.compute.local import Local
from thaw.compute.portable import Portable

__all__ = ["Executor", "Isolated", "Local", "Portable", "choose", "open_executor"]
