"""Walk a folder, or the index of one: every entry once, in an order that does not depend on the disk, no link followed."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from thaw import sources
from thaw.gate.scan.links import is_inside, may_lead_to
from thaw.sources.listing import find_changes


class Entry(NamedTuple):
    """A path below the root, `/` between parts (bytes that are not UTF-8 as surrogates), and its status."""

    path: str
    kind: str
    """file, folder, empty_folder, or the check that it fails: special_file, unreadable, link_..."""
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    reason: str = ""


def walk(root: Path) -> Iterator[Entry]:
    """Yield all that is below `root`, folders before what they hold, each folder's entries by name; of an index by path."""
    if sources.is_indexed(root):
        yield from _walk_index(sources.open_index(root))
        return
    real_root = os.path.realpath(root)
    stack = [iter(_list_folder(str(root), ""))]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
        elif isinstance(child, Entry):
            yield child
        else:
            entry = _enter(child[0], child[1], real_root)
            yield entry
            if entry.kind == "folder":
                stack.append(iter(_list_folder(child[0].path, child[1] + "/")))


def _walk_index(index: sources.Index) -> Iterator[Entry]:
    """The files of an index are unchanged as long as their marks are, which stand for the inode of a file.

    The store is listed, so that what it has no more is told without a read.
    """
    changes = find_changes(index)
    above: list[str] = []
    for row in index:
        folders = row.path.split("/")[:-1]
        pairs = enumerate(zip(above, folders, strict=False))
        same = next((at for at, (old, new) in pairs if old != new), min(len(above), len(folders)))
        yield from (Entry("/".join(folders[:depth]), "folder") for depth in range(same + 1, len(folders) + 1))
        above = folders
        change = changes.get(row.object, "")
        yield Entry(row.path, "unreadable" if change else "file", row.size, inode=row.mark(), reason=change)


def _list_folder(folder: str, prefix: str) -> "list[Entry | tuple[os.DirEntry[str], str]]":
    try:
        with os.scandir(folder) as listing:
            children = sorted(listing, key=lambda child: os.fsencode(child.name))
    except OSError as error:
        return [Entry(prefix or ".", "unreadable", reason=error.strerror or str(error))]
    if not children and prefix:
        return [Entry(prefix, "empty_folder")]
    return [(child, prefix + child.name) for child in children]


def _enter(child: "os.DirEntry[str]", path: str, real_root: str) -> Entry:
    try:
        status = child.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            return _follow(child.path, path, real_root)
    except OSError as error:
        return Entry(path, "unreadable", reason=error.strerror or str(error))
    if stat.S_ISDIR(status.st_mode):
        return Entry(path, "folder")
    if not stat.S_ISREG(status.st_mode):
        return Entry(path, "special_file", reason="a pipe, socket or device; it was not opened")
    return _file(path, status)


def _file(path: str, status: os.stat_result) -> Entry:
    return Entry(path, "file", status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _follow(link: str, path: str, real_root: str) -> Entry:
    """Judge a link by where it leads; only a file inside the root, or in DVC's cache, counts as a file."""
    target = os.path.realpath(link)
    if not os.path.lexists(target):
        return Entry(path, "link_dangling", reason="its target is missing")
    try:
        status = os.stat(link)  # noqa: PTH116 - a name that is not UTF-8 passes
    except OSError:
        return Entry(path, "link_loop", reason="the link leads to itself")
    if not may_lead_to(target, real_root):
        return Entry(path, "link_leaves_root", reason="the link leads out of the folder; it was not followed")
    if stat.S_ISDIR(status.st_mode):
        above = os.path.realpath(os.path.dirname(link))  # noqa: PTH120
        kind, reason = (
            ("link_loop", "leads back to a folder above it")
            if is_inside(above, target)
            else ("link_folder", "leads to another folder of the data")
        )
        return Entry(path, kind, reason=f"the link {reason}; it was not followed")
    return _file(path, status) if stat.S_ISREG(status.st_mode) else Entry(path, "special_file")
