"""The gate's pages by the findings that they show: DVC brings findings back from its cache, and not the page beside them."""

import shutil
from pathlib import Path

from thaw.files import digest, replacing
from thaw.tracking.run_data import FILE_LIMIT_BYTES

_NAME = "gate.html"
_KEPT = 10


def keep(scratch: Path, findings_path: Path) -> None:
    """Keep the page that the gate has just written beside its findings; of many the newest ten.

    Args:
        scratch: the project's `.thaw`.
    """
    page = findings_path.with_name(_NAME)
    if not page.exists() or page.stat().st_size > FILE_LIMIT_BYTES:
        return
    place = _place(scratch, findings_path)
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as temporary:
        shutil.copyfile(page, temporary)
    pages = sorted(place.parents[1].glob(f"*/{_NAME}"), key=lambda path: path.stat().st_mtime_ns)
    for old in pages[:-_KEPT]:
        shutil.rmtree(old.parent, ignore_errors=True)


def find(scratch: Path, findings_path: Path) -> Path | None:
    """The page that was made of these findings, if it is kept."""
    place = _place(scratch, findings_path)
    return place if place.exists() else None


def _place(scratch: Path, findings_path: Path) -> Path:
    return scratch / "gate_pages" / digest(findings_path)[:16] / _NAME
