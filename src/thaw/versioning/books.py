"""What DVC has booked of a project, and the versions that its cache holds."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from thaw.errors import ThawError
from thaw.versioning.items import hash_of, is_params, name_of


class Books:
    """What is booked of the stages and of the data that they read. Made by `DvcRepo.books`.

    A path is relative to the project's root; a version is DVC's hash, a folder's ends with `.dir`.
    """

    def __init__(
        self, root: Path, dvc: Any, stages: Sequence[Any], locked: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._root, self._dvc, self._stages, self._locked = root, dvc, stages, locked
        outs = {self._relative(out): out for stage in stages for out in stage.outs}
        self._cached = {path: out for path, out in sorted(outs.items()) if out.use_cache}
        self.outputs = list(self._cached)
        """The files and folders that DVC's cache holds: what the stages make, and the data."""
        self.uncached = [path for path in sorted(outs) if path not in self._cached]
        """What the stages make and Git keeps: metrics and curves."""
        self.ignores = sorted({str(Path(path).with_name(".gitignore")) for path in self._cached})
        """Where DVC tells Git to leave them alone."""
        self.data_files = sorted(os.path.relpath(one.path, root) for one in stages if one.is_data_source)
        """The `*.dvc` files of the data."""
        self.data = [self._relative(out) for one in stages if one.is_data_source for out in one.outs]
        """What they version: the folders of images."""
        self.cache_dir = str(dvc.cache.local_cache_dir)
        self.has_remote = bool(dvc.config["remote"])
        read = {self._relative(dep) for _, dep in self._read_files()}
        self.given = sorted(read - outs.keys())
        """What stages read, and neither a stage makes nor DVC keeps: sources, and files that Git keeps."""

    def _relative(self, item: Any) -> str:
        return os.path.relpath(item.fs_path, self._root)

    def _read_files(self) -> Iterator[tuple[str, Any]]:
        """The dependencies that are no parameters, each with its stage's name."""
        for stage in self._stages:
            for dep in stage.deps:
                if not is_params(dep):
                    yield name_of(stage), dep

    def edited(self, ahead: str = "") -> list[str]:
        """Those of `given` that are not as they were when a stage that reads them was booked.

        Args:
            ahead: a stage that is about to be booked: what it reads is as it was.
        """
        with self._locked():
            booked = [dep for name, dep in self._read_files() if hash_of(dep) and name != ahead]
            given = [dep for dep in booked if self._relative(dep) in self.given]
            return sorted({self._relative(dep) for dep in given if dep.workspace_status()})

    def booked(self) -> dict[str, str]:
        """The version of each that `dvc.lock`, or a `*.dvc` file, holds; those that were never booked are left out."""
        return {path: value for path, out in self._cached.items() if (value := hash_of(out))}

    def present(self) -> dict[str, str]:
        """The version of each that lies there now; those that are not there are left out."""
        with self._locked():
            return {path: str(out.get_hash().value) for path, out in self._cached.items() if out.exists}

    def missing(self, wanted: Mapping[str, str]) -> list[str]:
        """Those paths of which the wanted version is neither in the cache nor in the remote, where there is one.

        What the remote has is in the cache afterwards.
        """
        with self._locked():
            return [path for path, value in wanted.items() if not self._fetch(self._cached[path], value)]

    def _fetch(self, out: Any, value: str) -> bool:
        """Have a version in the cache, whole; false where that cannot be."""
        if not out.cache.exists(value):
            self._pull(out, [value])
        if not out.cache.exists(value):
            return False
        lacking = _lacking(out, value)
        if lacking:
            self._pull(out, lacking)
            lacking = _lacking(out, value)
        return not lacking

    def _pull(self, out: Any, values: list[str]) -> None:
        from dvc.config import NoRemoteError
        from dvc_data.hashfile.hash_info import HashInfo

        try:
            self._dvc.cloud.pull([HashInfo(out.hash_name, value) for value in values], remote=out.remote)
        except NoRemoteError:
            return
        except Exception as error:  # each kind of remote raises its own
            raise ThawError(f"DVC's remote: {error}", "See `dvc remote list`, and `dvc pull -v`.") from error

    def keep(self, path: str) -> None:
        """Put what lies there into the cache, where it is not there yet."""
        with self._locked():
            out = self._cached[path]
            out.save()
            out.commit(relink=False)

    def bring(self, path: str, value: str) -> None:
        """Put a version that is in the cache in its place; nothing for an empty one. What lies there has to be in the cache.

        Killed in the middle and called again it finishes.
        """
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.meta import Meta

        with self._locked():
            out = self._cached[path]
            if not value:
                shutil.rmtree(out.fs_path) if Path(out.fs_path).is_dir() else Path(out.fs_path).unlink(missing_ok=True)
                return
            out.hash_info, out.meta = HashInfo(out.hash_name, value), Meta(isdir=value.endswith(".dir"))
            out.obj = out.files = None
            Path(out.fs_path).parent.mkdir(parents=True, exist_ok=True)
            out.checkout()


def _lacking(out: Any, value: str) -> list[str]:
    """The files of a folder's version that are not in the cache."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    if not value.endswith(".dir"):
        return []
    tree = Tree.load(out.cache, HashInfo(out.hash_name, value))
    return sorted({str(info.value) for _, _, info in tree if not out.cache.exists(info.value)})
