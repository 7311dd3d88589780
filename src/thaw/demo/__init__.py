"""Public image sets to try the pipeline on, each laid out as `<class>/<image>.png`, the same bytes every time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from thaw import licences
from thaw.demo import digits, elpv, keras_datasets
from thaw.errors import ThawError
from thaw.files import name_beside

Files = Mapping[str, Callable[[], bytes]]
"""Path below the folder to what gives the file's bytes."""


@dataclass(frozen=True)
class DemoSet:
    """A public image set."""

    list_files: Callable[[], Files]
    licence: str
    overrides: tuple[str, ...] = ()
    """Where the defaults of `params.yaml` do not fit, for `thaw run -S`."""
    version: str = ""
    """DVC's hash of the folder; empty for a set that is made of what the network gives."""


_SMALL = (
    "model.architecture=separable",
    "validate.limits.min_side_pixels=8",
    "augment.image_size=28",
    "augment.views=0",
    "augment.shift=0.08",
    "augment.rotation_degrees=8",
    "augment.vertical_flip=false",
    "augment.right_angle_turns=false",
    "fine_tune.learning_rate=0.002",
)
_WRITTEN = (*_SMALL, "augment.horizontal_flip=false")

SETS = {
    "elpv": DemoSet(elpv.list_files, licences.ELPV, version="fd94b2bc09e9559a7b694709534c4d06.dir"),
    "digits": DemoSet(
        digits.list_files,
        licences.DIGITS,
        (*_WRITTEN, "fine_tune.epochs=30"),
        "c3361a1dd7b1f82c5e42dcea69cd4949.dir",
    ),
    "mnist": DemoSet(partial(keras_datasets.list_files, "mnist"), keras_datasets.LICENCE, _WRITTEN),
    "fashion_mnist": DemoSet(
        partial(keras_datasets.list_files, "fashion_mnist"), keras_datasets.LICENCE, _SMALL
    ),
    "cifar10": DemoSet(partial(keras_datasets.list_files, "cifar10"), keras_datasets.LICENCE, _SMALL),
}


def lay_out(name: str, raw_dir: Path, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Lay a set out in a folder, whose content is then the same whenever and wherever it is made.

    A folder half filled is completed; a complete one is left as it is.

    Args:
        name: of `SETS`.
        on_progress: called with the number of files done and of all files.

    Returns:
        The number of files written.

    Raises:
        ThawError: the set cannot be had, or the folder holds anything else.
    """
    files = SETS[name].list_files()
    _check_nothing_else(raw_dir, set(files))
    raw_dir.mkdir(parents=True, exist_ok=True)
    temporary = name_beside(raw_dir)  # never in the folder that is hashed
    written = 0
    for done, (path, read) in enumerate(files.items(), 1):
        written += _put(raw_dir / path, read(), temporary)
        if on_progress:
            on_progress(done, len(files))
    return written


def _check_nothing_else(raw_dir: Path, names: set[str]) -> None:
    cure = "Move your own data elsewhere first, or use `thaw demo --replace`, which moves it aside."
    if raw_dir.exists() and not raw_dir.is_dir():
        raise ThawError(f"{raw_dir}: is a file, not a folder", cure)
    folders = {name.split("/")[0] for name in names if "/" in name}
    for path in sorted(raw_dir.rglob("*")) if raw_dir.exists() else []:
        name = path.relative_to(raw_dir).as_posix()
        if not (path.is_dir() if name in folders else name in names and path.is_file()):
            raise ThawError(f"{path}: is not the demo's, and the demo never mixes with other data", cure)


def _put(path: Path, content: bytes, temporary: Path) -> bool:
    """Write a file by way of `temporary`, unless it is there already; True if it was written."""
    if path.exists():
        present = path.read_bytes()
        if present == content:
            return False
        if not content.startswith(present):  # a copy that was cut short is the demo's own
            raise ThawError(
                f"{path}: differs from the demo's file of that name", "Move it away, then run this again."
            )
    path.parent.mkdir(exist_ok=True)
    try:  # without the sync of thaw.files: there are thousands of files, and a rerun mends a crash
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True
