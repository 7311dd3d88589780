"""The keys under which things are kept from one run to the next, made of all that decides what they hold.

DVC's books know parameters, data and code. What is kept beside them (compiled networks, activations, checkpoints, the rows of a
scan) is found by such a key alone: what it leaves out can go stale unseen.
"""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from thaw.files import digest, digest_folder

_PACKAGE_DIR = Path(__file__).parent


def content_key(*parts: object) -> str:
    """A digest of `parts`: bytes as they are, anything else as its text."""
    sha = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()[:32]


@cache
def code_digest(*sources: str) -> str:
    """A digest of thaw's source code in `sources`: Python files, and folders of them, relative to the package.

    Read once a process: what was imported is not what an edit made of the files since.
    """
    paths = [_PACKAGE_DIR / source for source in sources]
    return content_key(*(digest_folder(path, "**/*.py") if path.is_dir() else digest(path) for path in paths))


@cache
def library_versions(*distributions: str) -> str:
    """The installed versions of these distributions, as text; one that is not installed has none."""
    return " ".join(f"{name}={_version(name)}" for name in distributions)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
