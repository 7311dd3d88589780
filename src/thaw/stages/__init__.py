"""One module a stage of `dvc.yaml`: typed parameters and files in, files out."""

import importlib
import inspect
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import thaw.fingerprint  # noqa: F401 - before the modules whose code it is to know
from thaw.compute import choose
from thaw.devices import prepare_backend
from thaw.errors import ThawError, explaining_disk
from thaw.params import Params
from thaw.progress import Paced
from thaw.project import scratch_dir
from thaw.redaction import hide_in_logs

_log = logging.getLogger("thaw.stages")
_Paths = TypeVar("_Paths")


@explaining_disk()
def call_stage(spec: Any, root: Path, params: Params) -> None:
    """Call a stage's function with the arguments that its signature asks for.

    Args:
        spec: the stage's declaration (`thaw.versioning.StageSpec`).
        root: the project's folder.
        params: what is booked as the stage's parameters; `params.yaml` may have changed since it was read.

    Raises:
        ThawError: an input is missing or vanished, the disk is full or forbidden, or the function wants what `dvc.yaml` does
            not declare.
    """
    spec.require_inputs(root)
    prepare_backend()
    function = getattr(importlib.import_module(f"thaw.stages.{spec.name}"), spec.name)
    scratch = scratch_dir(root, spec.name)
    scratch.mkdir(parents=True, exist_ok=True)
    available: dict[str, Any] = {key: params.section(key) for key in spec.keys}
    available |= {"params": available.pop(spec.name, None), "compute": choose(params.compute), "scratch_dir": scratch}
    wanted = inspect.signature(function).parameters
    for name, declared in (("inputs", spec.inputs), ("outputs", spec.outputs)):
        if name in wanted:
            available[name] = paths_of(wanted[name].annotation, declared, spec.name)
    _require_declared(wanted, available, spec.name)
    began = time.perf_counter()
    try:
        function(**{name: available[name] for name in wanted})
    except FileNotFoundError as error:
        lost = _explain_loss(error, spec, root)
        if lost is None:
            raise
        raise lost from error
    _log.info("%s took %.1f s", spec.name, time.perf_counter() - began)


def paths_of(kind: type[_Paths], declared: Mapping[str, Path], stage: str) -> _Paths:
    """The paths that a stage works on, as the dataclass that its `inputs` or `outputs` are annotated with.

    Args:
        kind: has a field for each path that the stage wants.
        declared: the stage's paths in `dvc.yaml`, by the name of the field (`StageSpec.inputs`, `StageSpec.outputs`).

    Raises:
        ThawError: a field is not declared.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    _require_declared(names, declared, stage)
    return kind(**{name: declared[name] for name in names})


def _require_declared(wanted: Iterable[str], declared: Iterable[str], stage: str) -> None:
    undeclared = [name for name in wanted if name not in set(declared)]
    if undeclared:
        raise ThawError(f"stage {stage} wants {', '.join(undeclared)}", "Declare it in dvc.yaml.")


def _explain_loss(error: FileNotFoundError, spec: Any, root: Path) -> ThawError | None:
    """What somebody removed from a stage's inputs while it read them, in one message; None for any other file."""
    lost = Path(str(error.filename))
    if not any(lost.is_relative_to(path) for path in spec.inputs.values()):
        return None
    shown = lost.relative_to(root) if lost.is_relative_to(root) else lost
    return ThawError(
        f"{shown}: was removed while stage {spec.name} was at work",
        "Bring it back (`dvc checkout`), or run `thaw run` again, which judges what is there.",
    )


def configure_logging() -> None:
    """Send what stages say to standard error, one plain line a message, and of those that tell progress few."""
    hide_in_logs()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger().handlers[0].addFilter(Paced())
    logging.getLogger("thaw").setLevel(logging.INFO)
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
