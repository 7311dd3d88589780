"""Keep pyarrow from importing pandas where no data frame is in sight."""

import sys
from importlib.abc import MetaPathFinder

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ImportError("pandas is not needed here")


def skip_pandas() -> None:
    """Let pyarrow meet its first Python object while pandas cannot be imported.

    It would import pandas there, half a second in each worker, only to ask whether the object is one of pandas'. Where a
    data frame is made from a table later, pyarrow imports it all the same.
    """
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)
