"""The second demo's data: scikit-learn's 1,797 handwritten digits, 8x8 pixels, laid out as folders."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from thaw.errors import ThawError

LICENCE = "Digits: E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, CC BY 4.0, as scikit-learn carries them"


def lay_out_digits(raw_dir: Path, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Lay the digits out as `<digit>/<number>.png`, 8-bit grey, the same bytes every time.

    A folder half filled is completed; a complete one is left as it is.

    Args:
        on_progress: called with the number of files done and of all files.

    Returns:
        The number of files written.

    Raises:
        ThawError: the folder holds anything else.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    names = [f"{label}/{number:04}.png" for number, label in enumerate(digits.target)]
    _check_nothing_else(raw_dir, set(names))
    raw_dir.mkdir(parents=True, exist_ok=True)
    temporary = raw_dir.parent / f".thaw-demo-{os.getpid()}"  # never in the folder that is hashed
    written = 0
    for done, (name, values) in enumerate(zip(names, digits.images, strict=True), 1):
        path = raw_dir / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            temporary.write_bytes(_png(values))  # without the sync of thaw.files: a rerun mends a crash
            temporary.replace(path)
            written += 1
        if on_progress:
            on_progress(done, len(names))
    return written


def _png(values: np.ndarray) -> bytes:
    """Seventeen steps of ink, 0 to 16, as a picture of 0 to 255."""
    content = io.BytesIO()
    Image.fromarray(np.rint(values * (255 / 16)).astype("uint8")).save(content, "PNG")
    return content.getvalue()


def _check_nothing_else(raw_dir: Path, names: set[str]) -> None:
    for path in sorted(raw_dir.rglob("*")) if raw_dir.is_dir() else []:
        if path.is_file() and path.relative_to(raw_dir).as_posix() not in names:
            raise ThawError(f"{path}: is not the demo's, and the demo never mixes with other data",
                            "Move your own data elsewhere first, or lay out the demo in another project.")  # fmt: skip
