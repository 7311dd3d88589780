"""Where a link in the folder may lead: to what is in the folder, or to DVC's cache, which holds the folder's own content."""

import os
import re

_CACHED = re.compile(r"/[0-9a-f]{2}/[0-9a-f]{30}")
"""How DVC's cache names a file: by its MD5, as with `cache.type symlink` or where a hard link cannot reach the cache's disk."""


def is_inside(path: str, root: str) -> bool:
    """Whether the resolved `path` is the resolved folder `root`, or below it."""
    return os.path.commonpath([path, root]) == root


def may_lead_to(target: str, root: str) -> bool:
    """Whether a link below `root` may be read as the file `target`; both are resolved."""
    return is_inside(target, root) or _CACHED.fullmatch(target[-34:]) is not None
