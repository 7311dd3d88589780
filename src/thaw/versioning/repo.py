"""The one place that talks to DVC: the graph, what is dirty, and what `dvc.lock` says."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thaw import telemetry
from thaw.errors import ThawError
from thaw.params import flatten
from thaw.versioning.books import Books
from thaw.versioning.items import argument_name, hash_of, is_params, name_of
from thaw.versioning.lock_file import book, book_in
from thaw.versioning.locks import explained, waited_for
from thaw.versioning.plan import reasons_to_run
from thaw.versioning.snapshot import Snapshot, Write, last_write, require_same
from thaw.versioning.spec import StageSpec


def preload() -> None:
    """Import DVC, which takes two seconds: for a thread, while something else is waited for."""
    telemetry.switch_off()
    import dvc.repo  # noqa: F401


class DvcRepo:
    """One project as DVC sees it, open for as long as the object is used.

    Args:
        root: the project's folder, with `dvc.yaml` and `.dvc`.

    Raises:
        ThawError: the folder is no DVC project, or `dvc.yaml` is wrong.
    """

    def __init__(self, root: Path) -> None:
        telemetry.switch_off()
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.WARNING)
        for drawing in ("dvc.progress", "dvc_data.callbacks"):  # bars, over thaw's
            logging.getLogger(drawing).setLevel(logging.CRITICAL)
        self.root = root
        with explained("Mend dvc.yaml."):
            self._repo = Repo(str(root))
            self._read()

    def _read(self) -> None:
        """Read the graph and what is booked; another command may have booked since."""
        self._seen = last_write(self.root / "dvc.lock")
        self._repo._reset()
        self._graph = self._repo.index.graph
        self._stages: dict[str, Any] = {stage.name: stage for stage in self._ordered()}

    def _ordered(self) -> list[Any]:
        """As `dvc repro` goes, so that `dvc.lock` has one order, whoever books and however often they were killed."""
        from dvc.repo.reproduce import plan_repro

        return [stage for stage in plan_repro(self._graph) if stage.cmd]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold DVC's lock, which other commands hold for seconds: it is waited for."""
        # DVC makes stages of the entries in its run cache, with paths relative to where the process stands.
        with explained(), contextlib.chdir(self.root), waited_for(lambda: self._repo.lock):
            if self._seen != last_write(self.root / "dvc.lock"):
                self._read()
            yield

    @contextmanager
    def reserved(self, name: str) -> Iterator[None]:
        """Keep other DVC commands from the stage's inputs and outputs while the block runs, as DVC does for its own stages.

        Waits while another command works on them.
        """
        from dvc.rwlock import rwlock

        stage = self._find(name)
        read = [dep.fs_path for dep in stage.deps if not is_params(dep)]
        write = [out.fs_path for out in stage.outs]
        # DVC tells its own nested locks from those of others by the process and this text.
        command = " ".join(sys.argv)

        def lock() -> Any:
            return rwlock(self._repo.tmp_dir, self._repo.fs, command, read, write, False)

        with explained(), waited_for(lock):
            yield

    def stages(self) -> list[StageSpec]:
        """The stages, each after those it depends on."""
        return [self.stage(name) for name in self._stages]

    def _find(self, name: str) -> Any:
        if name not in self._stages:
            raise ThawError(f"no stage {name!r} in dvc.yaml", f"Stages: {', '.join(self._stages)}.")
        return self._stages[name]

    def stage(self, name: str) -> StageSpec:
        """The stage called `name`.

        Raises:
            ThawError: there is none.
        """
        stage = self._find(name)
        inputs, sources, keys = {}, [], []
        for dep in stage.deps:
            if is_params(dep):
                keys += [str(key).split(".")[0] for key in dep.params]
            elif dep.def_path.startswith(("src/", "flows/")):
                sources.append(dep.def_path)
            else:
                inputs[argument_name(dep.fs_path)] = Path(dep.fs_path)
        outputs = {argument_name(out.fs_path): Path(out.fs_path) for out in stage.outs}
        metrics = tuple(Path(out.fs_path) for out in stage.outs if out.is_metric)
        curves = tuple(Path(out.fs_path) for out in stage.outs if out.is_plot)
        return StageSpec(name, inputs, outputs, tuple(dict.fromkeys(keys)), tuple(sources), metrics, curves)

    def downstream(self, name: str) -> list[str]:
        """The names of `name` and of every stage that depends on it, in order."""
        import networkx

        below = networkx.ancestors(self._graph, self._find(name))
        return [other for other, stage in self._stages.items() if other == name or stage in below]

    def upstream(self, name: str) -> list[str]:
        """The names of the stages that `name` depends on, in order."""
        import networkx

        above = networkx.descendants(self._graph, self._find(name))
        return [other for other, stage in self._stages.items() if stage in above]

    def changed(self, name: str) -> bool:
        """Whether the stage's command, dependencies, parameters or outputs differ from `dvc.lock`."""
        with self._locked():
            return bool(self._find(name).changed())

    def is_booked(self, name: str) -> bool:
        """Whether `dvc.lock` holds the stage with the command, dependencies and parameters of now."""
        with self._locked():
            stage = self._find(name)
            return not (stage.changed_stage() or stage.changed_deps())

    def snapshot(self, name: str) -> Snapshot:
        """What the stage depends on, as it is now.

        Raises:
            ThawError: a dependency is missing.
        """
        with self._locked():
            stage = self._find(name)
            writes = self._writes(stage)
            params = {key: value for dep in stage.deps if is_params(dep) for key, value in dep.get_hash().value.items()}
            files = {self._relative(dep): str(dep.get_hash().value) for dep in stage.deps if not is_params(dep)}
        return Snapshot(flatten(params), files, writes)

    def require_booked(self, name: str, snapshot: Snapshot) -> None:
        """Raise a `ThawError` where `dvc.lock` holds the stage with anything but what `snapshot` has."""
        with self._locked():
            require_same(name, snapshot, self._noted(self._find(name), snapshot.writes))

    def _noted(self, stage: Any, writes: dict[str, Write]) -> Snapshot:
        """What DVC has noted of a stage's dependencies."""
        params = {
            key: value
            for dep in stage.deps
            if is_params(dep) and dep.hash_info
            for key, value in dep.hash_info.value.items()
        }
        files = {self._relative(dep): hash_of(dep) for dep in stage.deps if not is_params(dep)}
        return Snapshot(flatten(params), files, writes)

    def _writes(self, stage: Any) -> dict[str, Write]:
        """When each file that a stage depends on was last written; what DVC ignores is left out."""
        found: dict[str, Write] = {}
        for dep in stage.deps:
            if is_params(dep):
                continue
            path = Path(dep.fs_path)
            if not path.is_dir():
                found[self._relative(dep)] = last_write(path)
                continue
            for folder, _, names in self._repo.dvcignore.walk(dep.fs, dep.fs_path):
                found |= {os.path.relpath(Path(folder, name), self.root): last_write(Path(folder, name)) for name in names}
        return found

    def _relative(self, item: Any) -> str:
        return os.path.relpath(item.fs_path, self.root)

    def require_consistent(self, name: str, snapshot: Snapshot) -> None:
        """Raise a `ThawError` where what the stage is about to read is not what the stages before it made, or read.

        Data that changed after the gate judged it, and an output that somebody changed, would be booked with a result of
        something else.
        """
        booked: dict[str, tuple[str, str]] = {}
        for other in self.upstream(name):
            stage = self._stages[other]
            booked |= {self._relative(dep): (f"{other} read", hash_of(dep)) for dep in stage.deps if not is_params(dep)}
            booked |= {self._relative(out): (f"{other} made", hash_of(out)) for out in stage.outs}
        sources = set(self.stage(name).sources)
        for path, value in snapshot.files.items():
            how, expected = booked.get(path, ("", value))
            if path in sources or value == expected:
                continue
            raise ThawError(
                f"{path}: is not what {how}: it was changed since"
                if expected
                else f"dvc.lock: does not say any more what {how} ({path})",
                "Run `thaw run` again: it begins with what changed.",
            )

    def restore(self, name: str, snapshot: Snapshot) -> bool:
        """Bring back the outputs of an earlier run with the same inputs, and book them; False where there is none.

        Either way the outputs that are there now are gone, as with `dvc repro`: a run that failed may have left some that
        are in no cache, and DVC would not write over them.
        """
        from dvc.exceptions import CacheLinkError, CheckoutError
        from dvc.stage.cache import RunCacheNotFoundError

        with self._locked():
            stage = self._find(name)
            stage.remove_outs(ignore_remove=False, force=False)
            try:
                self._repo.stage_cache.restore(stage)
            except (RunCacheNotFoundError, CheckoutError, CacheLinkError):
                return False
        self.commit(name, snapshot)
        return True

    def clear(self, name: str) -> None:
        """Remove the stage's outputs, as DVC does before it runs a stage, and make their parent folders."""
        with self._locked():
            stage = self._find(name)
            stage.remove_outs(ignore_remove=False, force=False)
        for out in stage.outs:
            Path(out.fs_path).parent.mkdir(parents=True, exist_ok=True)

    def commit(self, name: str, snapshot: Snapshot) -> None:
        """Book the stage's inputs and outputs in `dvc.lock`, and its outputs in the cache.

        Args:
            snapshot: of what the stage depends on, from before it ran.

        Raises:
            ThawError: it changed while the stage ran, so that nobody knows what the outputs were made from. Nothing is booked.
        """
        with self._locked():
            stage = self._find(name)
            writes = self._writes(stage)
            stage.save(run_cache=False)
            try:
                require_same(name, snapshot, self._noted(stage, writes))
            except ThawError:
                self._read()  # what was not booked is forgotten
                raise
            self._repo.stage_cache.save(stage)
            self._dump(stage)

    def _dump(self, stage: Any) -> None:
        stage.commit()
        book(stage, self.root)
        self._seen = last_write(self.root / "dvc.lock")

    def commit_data(self, judge: str = "") -> list[str]:
        """Book every changed `*.dvc` file that a stage reads (`data/raw.dvc`); their names.

        Args:
            judge: the stage that found the data fit. What it read is booked, and nothing else.

        Raises:
            ThawError: the data is not what `judge` read. Nothing is booked.
        """
        booked = []
        with self._locked():
            judged = {self._relative(dep): hash_of(dep) for dep in self._find(judge).deps} if judge else {}
            for source in self._data_sources():
                if not source.changed():
                    continue
                source.save(run_cache=False)
                for out in source.outs:
                    path = self._relative(out)
                    if judged.get(path, hash_of(out)) != hash_of(out):
                        raise ThawError(
                            f"{path}: changed after {judge} had judged it", "Run `thaw run` again, which judges it anew."
                        )
                self._dump(source)
                booked.append(os.path.relpath(source.path, self.root))
        return booked

    def _data_sources(self) -> list[Any]:
        """The `*.dvc` files of data that a stage reads: others are none of the pipeline's business."""
        read = [Path(dep.fs_path) for stage in self._stages.values() for dep in stage.deps if not is_params(dep)]
        return [
            stage
            for stage in self._graph
            if stage.is_data_source
            and any(
                path.is_relative_to(out.fs_path) or Path(out.fs_path).is_relative_to(path)
                for out in stage.outs
                for path in read
            )
        ]

    def data_version(self) -> dict[str, str]:
        """Path of each versioned data folder (relative to the root) to the hash that `*.dvc` holds."""
        return {
            out.def_path
            if source.wdir == str(self.root)
            else str(Path(out.fs_path).relative_to(self.root)): value
            for source in sorted(self._data_sources(), key=name_of)
            for out in source.outs
            if (value := hash_of(out))
        }

    def booked_output_hashes(self, name: str) -> dict[str, str]:
        """Path of each output (relative to the root) to its hash in `dvc.lock`."""
        return {str(Path(out.fs_path).relative_to(self.root)): hash_of(out) for out in self._stages[name].outs}

    def present_output_hashes(self, name: str) -> dict[str, str]:
        """Path of each output (relative to the root) to the hash of what lies there now, booked or not."""
        outs = self._stages[name].outs
        with self._locked():
            return {self._relative(out): str(out.get_hash().value) for out in outs if out.exists}

    def made_inputs(self, snapshot: Snapshot) -> dict[str, str]:
        """Those files of a snapshot that another stage makes, with their hashes."""
        made = {self._relative(out) for stage in self._stages.values() for out in stage.outs}
        return {path: value for path, value in snapshot.files.items() if path in made}

    def add(self, path: Path, link: bool = False) -> None:
        """Put a folder under DVC (`dvc add`).

        Args:
            link: make the files links to DVC's cache, which halves the room they take and makes them read-only.
        """
        if link:
            self._repo.cache.local.cache_types = ["hardlink", "symlink"]
        with explained():
            self._repo.add([str(path)])

    def check_free(self, path: Path) -> None:
        """Raise a `ThawError` where DVC would refuse to `add` a folder of this path: its name, or a stage that writes it."""
        from dvc.exceptions import DvcException
        from dvc.repo.add import get_or_create_stage, translate_graph_error

        try:
            stage, _ = get_or_create_stage(self._repo, str(path))
            with translate_graph_error([stage]):
                self._repo.check_graph(stages=[stage])
        except DvcException as error:
            reason = f"{path.relative_to(self.root)}: DVC cannot keep data here: {error}"
            raise ThawError(reason, "Take another name.") from error

    def reasons(self, values: Mapping[str, Any]) -> dict[str, list[str]]:
        """Each stage's name, in order, to why it is out of date: nothing where it is up to date.

        Args:
            values: of `params.yaml`; they need not be those that the file has now.
        """
        found: dict[str, list[str]] = {}
        remade: dict[str, str] = {}
        with self._locked():
            for name, stage in self._stages.items():
                found[name] = reasons_to_run(stage, values, remade)
                if found[name]:
                    remade |= {out.fs_path: name for out in stage.outs}
        return found

    def booked_state(self, ahead: str = "") -> tuple[bytes, dict[str, str]]:
        """What `dvc.lock` says, empty where there is none, and the version of each output and each data folder.

        With stage `ahead` as DVC is about to book it; the file stays as it is.
        """
        lock = self.root / "dvc.lock"
        with self._locked():
            text = lock.read_bytes() if lock.exists() else b""
            if not ahead:
                return text, self.books().booked()
            self._find(ahead).save(run_cache=False)
            text, versions = book_in(text, self._find(ahead)), self.books().booked()
            self._read()  # it is not booked yet
            return text, versions

    def books(self) -> Books:
        """What is booked of the stages and of the data that they read."""
        return Books(self.root, self._repo, [*self._stages.values(), *self._data_sources()], self._locked)

    def close(self) -> None:
        self._repo.close()
