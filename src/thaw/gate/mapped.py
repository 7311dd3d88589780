"""Arrays that lie in files: the system takes their memory back where it needs it."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from thaw.errors import ThawError


def array_on_disk(shape: tuple[int, ...], dtype: DTypeLike, folder: Path | None) -> np.ndarray:
    """A writable array of zeros in a file that has no name and goes with it.

    Args:
        shape: with no 0 in it.
        folder: where the file lies; None: in the system's folder for temporary files.

    Raises:
        ThawError: there is no room, or no right to write there.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    place = folder or Path(tempfile.gettempdir())
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as file:
            _reserve(file.fileno(), size)
            return np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        reason = f"{place}: {size / 1e9:.1f} GB for the search of duplicates: {error.strerror or error}"
        raise ThawError(reason, "Make room there.") from None


def _reserve(handle: int, size: int) -> None:
    """Make a file so large, and have the room on disk: to write into a map without any kills the process."""
    reserve: Any = getattr(os, "posix_fallocate", lambda handle, start, size: os.truncate(handle, size))
    reserve(handle, 0, size)
