"""Run a frozen network fast: OpenVINO or Keras itself, by a rule over what is installed.

An engine is checked against Keras on real images before it is used. A compiled network is kept in `scratch_dir`
under a digest, so that the next process needs no Keras.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thaw.devices import backend_distributions, keras_backend
from thaw.engines.compiled import CompiledNetwork
from thaw.engines.engine import Engine, Run, in_batches
from thaw.engines.selection import Choice, choices
from thaw.errors import ThawError
from thaw.fingerprint import code_digest, content_key, library_versions
from thaw.params import ExtractParams

if TYPE_CHECKING:
    import keras

__all__ = ["Compilation", "Engine", "compile", "compile_cached"]

_log = logging.getLogger("thaw.engines")


def compile(  # noqa: A001 - always called as engines.compile
    network: "keras.Model", params: ExtractParams, scratch_dir: Path, sample: np.ndarray | None = None
) -> Engine:
    """Compile a Keras network for inference.

    Args:
        network: takes pixels 0 to 255, `(batch, height, width, channels)`; one output.
        params: which engine, precision and batch size, and the largest error allowed.
        scratch_dir: compiled networks are kept below it.
        sample: uint8 images `(n, height, width, channels)` on which the engine is held against Keras; None: no check.

    Returns:
        A function from uint8 images `(n, height, width, channels)` to float32 `(n, ...)`.

    Raises:
        ThawError: the engine that `params` names cannot run this network within the tolerance.
    """
    return compile_cached(_model_key(network), lambda: network, params, scratch_dir, sample)


def compile_cached(
    key: str,
    load: "Callable[[], keras.Model]",
    params: ExtractParams,
    scratch_dir: Path,
    sample: np.ndarray | None = None,
) -> Engine:
    """As `compile`, for a network that `key` names: `load` is called only where nothing is kept under that key.

    Args:
        key: changes whenever the network's configuration or its weights do (`thaw.fingerprint.content_key`); the code
            that builds and converts networks and the libraries' versions are added here.
        load: makes the Keras network.

    Raises:
        ThawError: the engine that `params` names cannot run this network within the tolerance.
    """
    failures: list[str] = []
    for choice in choices(params):
        compiled_network = CompiledNetwork(scratch_dir / "engines", _cache_key(key, choice, params.batch_size), load)
        try:
            run = _start(choice, compiled_network, params.batch_size)
            error = None if sample is None else _check(run, choice, compiled_network, sample)
        except Exception as failure:  # an engine fails in its own ways; the next one may run the network
            if isinstance(failure, ThawError | MemoryError):
                raise
            failures.append(f"{choice}: {type(failure).__name__}: {str(failure).splitlines()[0][:200]}")
            continue
        if error is None or error <= params.tolerance:
            _log.info("engine %s, relative error %s", choice, "unchecked" if error is None else f"{error:.2g}")
            engine_key = content_key(compiled_network.network_dir.name, choice.precision)
            return Engine(choice.engine, choice.precision, error, engine_key, run)
        failures.append(f"{choice}: relative error {error:.2g} is over the tolerance of {params.tolerance:g}")
        _log.warning("%s", failures[-1])
    raise ThawError(
        "no engine runs this network: " + "; ".join(failures),
        f"Set extract.engine to auto or {keras_backend()}, extract.precision to float32, or raise extract.tolerance.",
    )


@dataclass(frozen=True)
class Compilation:
    """What it takes to have an engine's network compiled in another process: called, it gives that engine, unchecked.

    The process finds the compiled network in `scratch_dir`, or makes it. It is picklable where `load` is.
    """

    engine: str
    precision: str
    key: str
    load: "Callable[[], keras.Model]"
    params: ExtractParams
    scratch_dir: Path

    def __call__(self) -> Engine:
        chosen = {"engine": self.engine, "precision": self.precision}
        return compile_cached(self.key, self.load, self.params.model_copy(update=chosen), self.scratch_dir)


def _cache_key(key: str, choice: Choice, batch_size: int) -> str:
    code = code_digest("backends", "engines", "models")
    return content_key(
        key, choice.engine, batch_size, code, library_versions("keras", *backend_distributions(), "numpy", choice.engine)
    )


def _start(choice: Choice, compiled_network: CompiledNetwork, batch_size: int) -> Run:
    if choice.engine == "openvino":
        from thaw.engines import openvino

        return openvino.start(compiled_network, choice.precision, batch_size)
    from thaw.backends import backend

    return in_batches(backend.runner(compiled_network.model), batch_size)


def _check(run: Run, choice: Choice, compiled_network: CompiledNetwork, sample: np.ndarray) -> float:
    """The norm of the difference to Keras over the norm of Keras's output, on `sample`; kept by the sample's digest."""
    if choice.engine == keras_backend():
        return 0.0
    name = f"{choice.precision}-{content_key(sample.tobytes())}"
    error = compiled_network.read_error(name)
    if error is None:
        from thaw.backends import backend

        reference = backend.runner(compiled_network.model)(sample)
        error = float(np.linalg.norm(run(sample) - reference) / max(float(np.linalg.norm(reference)), 1e-30))
        if not np.isfinite(error):
            raise FloatingPointError("the engine's output is not finite")
        compiled_network.write_error(name, error)
    return error


def _model_key(network: "keras.Model") -> str:
    weights = (np.ascontiguousarray(variable.numpy()) for variable in network.weights)
    return content_key(network.to_json(), *(array.tobytes() for array in weights))
