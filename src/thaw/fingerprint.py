"""The keys under which things are kept from one run to the next, made of all that decides what they hold.

DVC's books know parameters, data and code. What is kept beside them (compiled networks, activations, checkpoints, the rows of a
scan) is found by such a key alone: what it leaves out can go stale unseen.
"""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from thaw.errors import ThawError
from thaw.files import digest

_PACKAGE_DIR = Path(__file__).parent


def content_key(*parts: object) -> str:
    """A digest of `parts`: bytes as they are, anything else as its text."""
    sha = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()[:32]


def _read_sources(sources: tuple[str, ...] = ("",)) -> dict[str, str]:
    """The digest of each Python file in `sources`, files and folders of the package, by its path below the package."""
    places = [_PACKAGE_DIR / source for source in sources]
    found = {path for place in places for path in ([place] if place.is_file() else place.rglob("*.py"))}
    return {path.relative_to(_PACKAGE_DIR).as_posix(): digest(path) for path in sorted(found)}


_LOADED = _read_sources()


def code_digest(*sources: str) -> str:
    """A digest of thaw's source code in `sources`: Python files, and folders of them, relative to the package.

    It is of the code as it was when this module was imported, which `thaw.stages` does before it imports any other.

    Raises:
        ThawError: a file in `sources` was edited since: this process may run the one or the other, and what it made would be
            found by the next that runs the other.
    """
    loaded, now = _select(_LOADED, sources), _read_sources(sources)
    if loaded != now:
        changed = min(path for path, _ in loaded.items() ^ now.items())
        raise ThawError(
            f"src/thaw/{changed}: was edited while this process ran",
            "Run the command again: it begins with the code as it is now.",
        )
    return content_key(*(text for item in loaded.items() for text in item))


def package_digest() -> str:
    """A digest of all of thaw's source code, as it was when this module was imported."""
    return content_key(*(text for item in _LOADED.items() for text in item))


def _select(files: dict[str, str], sources: tuple[str, ...]) -> dict[str, str]:
    return {
        path: value
        for path, value in files.items()
        if any(path == source or path.startswith(f"{source}/") for source in sources)
    }


@cache
def library_versions(*distributions: str) -> str:
    """The installed versions of these distributions, as text; one that is not installed has none."""
    return " ".join(f"{name}={_version(name)}" for name in distributions)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
