"""Metadata where the gate does not read it: never passed over in silence."""

import json
from collections.abc import Sequence
from pathlib import Path

from thaw.errors import ThawError
from thaw.gate.checks.metadata import METADATA, Metadata, find_metadata, known_name
from thaw.gate.findings import Findings
from thaw.sources import File, located
from thaw.tables import read_table


def check_unread_tables(root: Path, tables: Sequence[str], findings: Findings) -> None:
    """Report files that are metadata by name and are not the one that is read.

    Args:
        tables: paths below `root`.
    """
    read = find_metadata(root)
    for path in tables:
        if read and path == read.name:
            continue
        columns = _columns(located(root, path))
        teaching = Metadata(list(map(known_name, columns))).teaching()
        reason = f"is not read: {METADATA} has its place beside the classes or splits"
        if teaching:
            reason += f"; the images have no {' and no '.join(teaching)} of it"
        findings.add("metadata_not_read", path, reason, warn_only=not teaching)


def _columns(path: File) -> list[str]:
    """Those of a CSV, or the keys of the first of JSON's lines; none of any other file."""
    try:
        if path.suffix.casefold() == ".jsonl":
            first, *_ = path.read_bytes().split(b"\n", 1)
            return list(json.loads(first.decode("utf-8-sig")))
        return read_table(path).columns
    except (ThawError, OSError, ValueError, TypeError):
        return []
