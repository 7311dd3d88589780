"""What a stage depends on at one moment, and whether it is the same at another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thaw.errors import ThawError

Write = tuple[int, int, int]
"""What changes with each write of a file: inode, time (ns), size."""

_MOST_DIFFERENCES = 5


@dataclass(frozen=True)
class Snapshot:
    """What a stage depends on, as it stands at one moment.

    Attributes:
        params: dotted key of `params.yaml` to its value, no section among them.
        files: path relative to the root to DVC's hash, of data and of sources.
        writes: path relative to the root to what says when it was last written. A file that was changed and changed back
            has its old hash, and a stage may have read it in between.
    """

    params: dict[str, Any]
    files: dict[str, str]
    writes: dict[str, Write]

    def differences(self, later: "Snapshot") -> list[str]:
        """What `later` has otherwise, in words; none where nothing changed."""
        keys = sorted(self.params.keys() | later.params.keys())
        found = [
            f"{key}: {self.params.get(key)} -> {later.params.get(key)}"
            for key in keys
            if self.params.get(key) != later.params.get(key)
        ]
        written = sorted(
            path
            for path in self.writes.keys() | later.writes.keys()
            if self.writes.get(path) != later.writes.get(path)
        )
        shown = written[:_MOST_DIFFERENCES]
        found += [f"{path} was {_tell_write(path, self.writes, later.writes)}" for path in shown]
        if len(written) > len(shown):
            found.append(f"and {len(written) - len(shown)} more files")
        elif not written:
            found += [f"{path} changed" for path in sorted(self.files) if self.files[path] != later.files.get(path)]
        return found


def _tell_write(path: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    return "added" if path not in before else "removed" if path not in after else "written"


def require_same(name: str, before: Snapshot, after: Snapshot) -> None:
    """Raise a `ThawError` where what stage `name` depends on changed while it ran."""
    found = before.differences(after)
    if found:
        raise ThawError(
            f"stage {name} is not booked: what it depends on changed while it ran ({'; '.join(found)})",
            "Run `thaw run` again. A training whose inputs are as before goes on where it stood.",
        )


def last_write(path: Path) -> Write:
    """What changes with each write of a file: inode, time (ns) and size; zeros where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0, 0
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
