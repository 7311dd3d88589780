"""The one place that talks to DVC: the graph, what is dirty, and the books in `dvc.lock`."""

import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thaw import telemetry
from thaw.errors import ThawError, explain_disk


def preload() -> None:
    """Import DVC, which takes two seconds: for a thread, while something else is waited for."""
    telemetry.switch_off()
    import dvc.repo  # noqa: F401


@dataclass(frozen=True)
class StageSpec:
    """A stage as `dvc.yaml` declares it.

    Attributes:
        name: of the stage, its module, its function and its section of `params.yaml`.
        inputs: argument name to data path; source files are not among them.
        outputs: argument name to path.
        keys: top-level keys of `params.yaml` that it depends on.
        sources: the source files and folders that it depends on, relative to the root.
        metrics: those of the outputs that hold metrics.
        curves: those of the outputs that are to be plotted.
    """

    name: str
    inputs: dict[str, Path]
    outputs: dict[str, Path]
    keys: tuple[str, ...]
    sources: tuple[str, ...]
    metrics: tuple[Path, ...]
    curves: tuple[Path, ...]

    def require_inputs(self, root: Path) -> None:
        """Raise a `ThawError` that says the cure where an input is missing."""
        for name, path in self.inputs.items():
            if not path.exists():
                raise ThawError(
                    f"{path.relative_to(root)}: stage {self.name} needs it, and it is not there",
                    _cure_for_data(path)
                    if name == "raw_dir"
                    else "Run `thaw run` or `dvc repro`, which make it first.",
                )


def _cure_for_data(raw_dir: Path) -> str:
    if raw_dir.with_name(f"{raw_dir.name}.dvc").exists():
        return (
            f"Run `dvc pull`, which brings the version that {raw_dir.name}.dvc names; or put other images in its place by "
            "`thaw demo --replace` or `thaw data add PATH`."
        )
    return "Run `thaw demo` for the demo's images, or `thaw data add PATH` for your own."


class Books:
    """DVC's books of one project, open for as long as the object is used.

    Args:
        root: the project's folder, with `dvc.yaml` and `.dvc`.

    Raises:
        ThawError: the folder is no DVC project, or `dvc.yaml` is wrong.
    """

    def __init__(self, root: Path) -> None:
        telemetry.switch_off()
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.WARNING)
        self.root = root
        with _explained():
            try:
                self._repo = Repo(str(root))
                self._graph = self._repo.index.graph
            except DvcException as error:
                raise ThawError(
                    f"{root}: {error}", "Mend dvc.yaml, or run `dvc init` in a new project."
                ) from error
        self._stages: dict[str, Any] = {stage.name: stage for stage in self._ordered()}

    def _ordered(self) -> list[Any]:
        import networkx

        order = networkx.lexicographical_topological_sort(
            self._graph.reverse(), key=lambda stage: stage.addressing
        )
        return [stage for stage in order if stage.cmd]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # DVC makes stages of the entries in its run cache, with paths relative to where the process stands.
        with _explained(), contextlib.chdir(self.root), self._repo.lock:
            yield

    def stages(self) -> list[StageSpec]:
        """The stages, each after those it depends on."""
        return [self.stage(name) for name in self._stages]

    def stage(self, name: str) -> StageSpec:
        """The stage called `name`.

        Raises:
            ThawError: there is none.
        """
        if name not in self._stages:
            raise ThawError(f"no stage {name!r} in dvc.yaml", f"Stages: {', '.join(self._stages)}.")
        stage = self._stages[name]
        inputs, sources, keys = {}, [], []
        for dep in stage.deps:
            if hasattr(dep, "params"):
                keys += [str(key).split(".")[0] for key in dep.params]
            elif dep.def_path.startswith(("src/", "flows/")):
                sources.append(dep.def_path)
            else:
                inputs[_argument(dep.fs_path)] = Path(dep.fs_path)
        outputs = {_argument(out.fs_path): Path(out.fs_path) for out in stage.outs}
        metrics = tuple(Path(out.fs_path) for out in stage.outs if out.is_metric)
        curves = tuple(Path(out.fs_path) for out in stage.outs if out.is_plot)
        return StageSpec(name, inputs, outputs, tuple(dict.fromkeys(keys)), tuple(sources), metrics, curves)

    def downstream(self, name: str) -> list[str]:
        """The names of `name` and of every stage that depends on it, in order."""
        import networkx

        self.stage(name)
        below = networkx.ancestors(self._graph, self._stages[name])
        return [other for other, stage in self._stages.items() if other == name or stage in below]

    def changed(self, name: str) -> bool:
        """Whether the stage's command, dependencies, parameters or outputs differ from `dvc.lock`."""
        with self._locked():
            return bool(self._stages[name].changed())

    def restore(self, name: str) -> bool:
        """Bring back the outputs of an earlier run with the same inputs, and book them; False where there is none.

        Either way the outputs that are there now are gone, as with `dvc repro`: a run that failed may have left some that
        are in no cache, and DVC would not write over them.
        """
        from dvc.exceptions import CacheLinkError, CheckoutError
        from dvc.stage.cache import RunCacheNotFoundError

        stage = self._stages[name]
        with self._locked():
            stage.remove_outs(ignore_remove=False, force=False)
            try:
                self._repo.stage_cache.restore(stage)
            except (RunCacheNotFoundError, CheckoutError, CacheLinkError):
                return False
        self.commit(name)
        return True

    def clear(self, name: str) -> None:
        """Remove the stage's outputs, as DVC does before it runs a stage, and make their parent folders."""
        stage = self._stages[name]
        with self._locked():
            stage.remove_outs(ignore_remove=False, force=False)
        for out in stage.outs:
            Path(out.fs_path).parent.mkdir(parents=True, exist_ok=True)

    def commit(self, name: str) -> None:
        """Book the stage's inputs and outputs in `dvc.lock`, and its outputs in the cache."""
        self._book(self._stages[name])

    def _book(self, stage: Any) -> None:
        with self._locked():
            stage.save()
            stage.commit()
            stage.dump(update_pipeline=False)

    def commit_data(self) -> list[str]:
        """Book every changed `*.dvc` file that a stage reads (`data/raw.dvc`); their names."""
        booked = []
        for source in self._data_sources():
            with self._locked():
                changed = bool(source.changed())
            if changed:
                self._book(source)
                booked.append(str(Path(source.path).relative_to(self.root)))
        return booked

    def _data_sources(self) -> list[Any]:
        return [stage for stage in self._graph if stage.is_data_source]

    def data_version(self) -> dict[str, str]:
        """Path of each versioned data folder (relative to the root) to the hash that `*.dvc` holds."""
        return {
            out.def_path
            if source.wdir == str(self.root)
            else str(Path(out.fs_path).relative_to(self.root)): value
            for source in sorted(self._data_sources(), key=_name)
            for out in source.outs
            if (value := _hash(out))
        }

    def output_hashes(self, name: str) -> dict[str, str]:
        """Path of each output (relative to the root) to its hash in `dvc.lock`."""
        return {str(Path(out.fs_path).relative_to(self.root)): _hash(out) for out in self._stages[name].outs}

    def add(self, path: Path, link: bool = False) -> None:
        """Put a folder under DVC (`dvc add`).

        Args:
            link: make the files links to DVC's cache, which halves the room they take and makes them read-only.
        """
        if link:
            self._repo.cache.local.cache_types = ["hardlink", "symlink"]
        with _explained():
            self._repo.add([str(path)])

    def close(self) -> None:
        self._repo.close()

    def check_free(self, path: Path) -> None:
        """Raise a `ThawError` where DVC would refuse to `add` a folder of this path: its name, or a stage that writes it."""
        from dvc.exceptions import DvcException
        from dvc.repo.add import get_or_create_stage, translate_graph_error

        try:
            stage, _ = get_or_create_stage(self._repo, str(path))
            with translate_graph_error([stage]):
                self._repo.check_graph(stages=[stage])
        except DvcException as error:
            raise ThawError(
                f"{path.relative_to(self.root)}: DVC cannot keep data here: {error}", "Take another name."
            ) from error


def _argument(path: str) -> str:
    name = Path(path)
    return f"{name.stem}_path" if name.suffix else f"{name.name}_dir"


def _name(stage: Any) -> str:
    """A name to sort by: a pipeline stage's own, a data source's path."""
    return str(getattr(stage, "name", "") or stage.path)


def _hash(out: Any) -> str:
    return str(out.hash_info.value or "") if out.hash_info else ""


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what DVC raises for a full disk, a missing right or a held lock into an error that says the cure."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError

    try:
        yield
    except LockError as error:
        raise ThawError(
            "DVC's lock is held by another command", "Wait for it to end, or end it, and try again."
        ) from error
    except OSError as error:
        raise explain_disk(error) or ThawError(f"DVC: {error}", "See `dvc status -v`.") from error
    except DvcException as error:
        raise ThawError(f"DVC: {error}", "See `dvc status -v`.") from error
