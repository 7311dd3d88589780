"""What the user names: a folder, or an archive or shards that hold one."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from thaw.errors import ThawError
from thaw.files import folder_beside


@contextmanager
def opened(
    path: Path, target: Path | None, progress: Callable[[int, int], None], label_column: str = ""
) -> Iterator[Path]:
    """The folder itself; of an archive or a folder of shards what it holds, unpacked for as long as the block lasts.

    Args:
        path: what the user names.
        target: what is unpacked lies beside it, on its disk; None: in a temporary folder.
        progress: called with the packed bytes that are done, and those that there are.
        label_column: of a Parquet; guessed where empty.

    Raises:
        ThawError: it is not there, no folder and no archive, or an archive that is damaged or unsafe.
    """
    from thaw.intake.unpacking import is_packed, unpack

    if not path.exists():
        raise ThawError(f"{path}: no such folder", "Name a folder of images, or an archive.")
    if not is_packed(path):
        if not path.is_dir():
            raise ThawError(
                f"{path}: neither a folder nor an archive", "Name a folder of images, or an archive."
            )
        yield path
        return
    with folder_beside(target) if target else _temporary() as place:
        folder = place / "unpacked"
        folder.mkdir()
        unpack(path, folder, progress, label_column)
        yield folder


@contextmanager
def _temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
