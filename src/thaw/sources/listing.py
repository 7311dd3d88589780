"""What a store holds below an address, as rows of an index: names, sizes, etags and versions. No object is opened."""

import logging
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

from thaw.errors import ThawError
from thaw.layout import is_utf8, printable
from thaw.sources.index import Index, Row
from thaw.sources.stores import attempt, check_address, etag_of, file_system, scheme, split

_log = logging.getLogger("thaw.sources")
_PATIENCE_SECONDS = 5
"""A store that is asked for the first time is waited for less long than one that has answered before."""
_NO_VERSION = ("", "null")


def list_objects(address: str, on_objects: Callable[[int], None] = lambda count: None) -> list[Row]:
    """The objects below `address`, by path; what stands for an empty folder is left out.

    Args:
        address: a bucket, or a folder of it.
        on_objects: called with how many were listed so far.

    Raises:
        ThawError: the address is none that is read, no object lies there, a key is no path, or the store does not answer.
    """
    check_address(address)
    rows: list[Row] = []
    for page in _pages(address):
        rows += [row for row in page if not (row.path.endswith("/") and row.size == 0)]
        on_objects(len(rows))
    if not rows:
        raise ThawError(f"{address}: holds no object", "Look at the address: it names the folder that holds the classes.")
    for row in rows:
        if not is_path(row.path):
            raise ThawError(f"{address}/{printable(row.path)}: a key that is no path of a file", "Give the object another key.")
    return sorted(rows)


def is_path(key: str) -> bool:
    """Whether a key names a file below a folder, and in one way alone."""
    path = PurePosixPath(key)
    return bool(key) and is_utf8(key) and key == path.as_posix() and not {"..", "/", "."} & set(path.parts)


def find_changes(index: Index) -> dict[str, str]:
    """The objects of an index that the store has no more as they were booked, each with what became of it.

    Of an object that was booked with its version nothing is said: that version is what is read, whatever came after it.

    Raises:
        ThawError: the store cannot be listed.
    """
    booked = {row.object: row.etag for row in index if row.object and not row.version}
    changed, seen, total = set(), 0, len(booked)
    for page in _pages(index.url) if booked else ():
        seen += len(page)
        _log.info("listed %d of %d objects", seen, total, extra={"done": min(seen, total), "total": total})
        for row in page:
            if booked.get(row.object) == row.etag:
                del booked[row.object]
            elif row.object in booked:
                changed.add(row.object)
    fates = {name: "changed in the store" if name in changed else "is not in the store any more" for name in booked}
    return {name: f"{index.url}/{name} {fate} since it was booked" for name, fate in fates.items()}


def _pages(address: str) -> Iterator[list[Row]]:
    return _pages_of_s3(address) if scheme(address) == "s3" else iter([_all_of(address)])


def _pages_of_s3(address: str) -> Iterator[list[Row]]:
    """By versions, which a bucket without them has, too; some stores and rights allow the plain list alone."""
    bucket, folder = split(address)
    prefix = f"{folder}/" if folder else ""
    listing, begin = "list_object_versions", dict[str, str]()
    while True:
        try:
            page = _ask(address, listing, Bucket=bucket, Prefix=prefix, **begin)
        except ThawError:
            if listing == "list_objects_v2" or begin:
                raise
            listing = "list_objects_v2"
            continue
        yield [_row(prefix, entry) for entry in page.get("Versions", page.get("Contents", ())) if entry.get("IsLatest", True)]
        if not page.get("IsTruncated"):
            return
        if listing == "list_objects_v2":
            begin = {"ContinuationToken": page["NextContinuationToken"]}
        else:
            begin = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


def _ask(address: str, listing: str, **about: Any) -> dict[str, Any]:
    answer: dict[str, Any] = attempt(lambda: file_system(address).call_s3(listing, **about), address, _PATIENCE_SECONDS)
    return answer


def _row(prefix: str, entry: dict[str, Any]) -> Row:
    path, version = entry["Key"].removeprefix(prefix), entry.get("VersionId", "")
    return Row(path, path, 0, entry["Size"], entry["ETag"].strip('"'), "" if version in _NO_VERSION else version)


def _all_of(address: str) -> list[Row]:
    files = file_system(address)
    found = attempt(lambda: files.find(address, detail=True), address, _PATIENCE_SECONDS)
    root = files._strip_protocol(address)
    return [
        Row(path := name.removeprefix(root).lstrip("/"), path, 0, info["size"], etag_of(info), "")
        for name, info in found.items()
    ]
