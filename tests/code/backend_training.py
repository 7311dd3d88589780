"""The same small trainings on whatever Keras computes with; on JAX for a process of its own, which is refused TensorFlow.

`python -m tests.code.backend_training FOLDER NAME...` reads what `write_data` left there and writes the results beside it.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

PLAIN = {"precision": "float32", "batch_size": 16}
HEAD = PLAIN | {"epochs": 3, "optimizer": "adam", "learning_rate": 0.02, "mixup": 0.3}
UPPER = PLAIN | {
    "epochs": 4, "optimizer": "adamw", "learning_rate": 5e-3, "weight_decay": 0.05, "warmup_epochs": 1, "clip_norm": 0.5,
    "label_smoothing": 0.1, "early_stopping_patience": 3,
}  # fmt: skip
MOVING = PLAIN | {
    "epochs": 2, "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.5, "final_momentum": 0.9, "schedule": "linear",
    "loss": "focal",
}  # fmt: skip


class RefuseTensorFlow:
    """An import hook under which a machine looks as if TensorFlow were not installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in ("tensorflow", "tf_keras"):
            raise ModuleNotFoundError(f"{name} was imported", name=name)


def write_data(folder: Path) -> None:
    """70 pictures of two views: the last batch of 16 has six."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 200, (70, 2, 12, 12, 3)).astype(np.uint8)
    targets = np.arange(70) % 2
    pictures[targets == 1, :, 3:9, 3:9] += 40
    np.save(folder / "pictures.npy", pictures)
    np.save(folder / "targets.npy", targets.astype(np.float32)[:, None])
    np.save(folder / "weights.npy", rng.uniform(0.5, 2, 70).astype(np.float32))


def build_network(dropout: float = 0.0) -> Any:
    """Three blocks with BatchNorm, the last of them with a depthwise kernel, and a head; the same weights on every backend."""
    import keras

    keras.backend.clear_session()
    x = pixels = keras.Input((12, 12, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 255, name="rescale")(x)
    for number, kind in enumerate((keras.layers.Conv2D, keras.layers.Conv2D, None)):
        name = f"block{number}"
        # A bias before a BatchNorm that trains has no gradient but rounding, which Adam would make steps of.
        plain = {"use_bias": False, "name": f"{name}_conv"}
        x = kind(8, 3, **plain)(x) if kind else keras.layers.DepthwiseConv2D(3, **plain)(x)
        x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
        x = keras.layers.ReLU(6.0, name=f"{name}_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    model = keras.Model(pixels, keras.layers.Dense(1, name="logits")(x))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        drawn, ones = rng.normal(0, 0.4, weight.shape), np.ones(weight.shape)
        weight.assign(drawn if "kernel" in weight.path else ones if "gamma" in weight.path else ones / 2)
    return model


def examples(folder: Path, count: int, prefix: Any = None) -> Any:
    """The first `count` pictures, or what a frozen `prefix` makes of them."""
    from thaw.arrays import Rows
    from thaw.backends import backend
    from thaw.training.batches import Examples
    from thaw.training.inputs import Computed
    from thaw.training.labels import Labels

    inputs: Any = Rows(folder / "pictures.npy")
    if prefix is not None:
        inputs = Computed(inputs, backend.runner(prefix), tuple(prefix.output_shape[1:]), np.dtype(np.float32))
    targets, weights = (np.load(folder / f"{name}.npy")[:count] for name in ("targets", "weights"))
    return Examples(inputs, Labels([f"{number}.png" for number in range(count)], targets, weights))


def train(folder: Path, scratch: Path, strategy: str, batch_norm: str, settings: dict[str, Any], **options: Any) -> Any:
    """Freeze, cut and fit. Gives the network and its rows."""
    from thaw.models import cut, freeze
    from thaw.params import FitParams
    from thaw.training.fit import Job, fit
    from thaw.training.guard import Stop
    from thaw.training.optimizers import Tuning

    network = build_network(options.pop("dropout", 0.0))
    freeze(network, strategy, "block2", batch_norm)
    prefix, suffix = cut(network)
    job = Job(3, 1, "key", scratch, options.pop("stop", Stop()), options.pop("leads", True))
    tuning = Tuning({"block2_conv": 0.5}, ema_momentum=0.8) if strategy == "partial" else Tuning()
    rows = fit(suffix, FitParams(**settings), examples(folder, 70, prefix), examples(folder, 21, prefix), job, tuning)
    return network, [row["metrics"] for row in rows]


TRAININGS = {
    "head": ("head", "frozen", HEAD),
    "moving statistics": ("partial", "train", UPPER | {"early_stopping_patience": 0}),
    "frozen statistics": ("partial", "frozen", UPPER),
    "from a random start": ("scratch", "train", MOVING),
}
QUICK, SLOW = list(TRAININGS)[:2], list(TRAININGS)[2:]


def run_all(folder: Path, out: Path, names: list[str]) -> None:
    """Write the curves of these trainings to `curves.json`, and the weights of each network."""
    curves = {}
    for name in names:
        strategy, batch_norm, settings = TRAININGS[name]
        network, curves[name] = train(folder, out / name, strategy, batch_norm, settings)
        np.savez(out / f"{name}.npz", *network.get_weights())
    (out / "curves.json").write_text(json.dumps(curves))


def stop_and_go_on(folder: Path, out: Path) -> None:
    """Train with dropout and mixup, undisturbed and in three parts; the bytes of both to `resumed.json`."""
    import hashlib

    from thaw.training.guard import Stop, Stopped

    settings = UPPER | {"mixup": 0.3, "epochs": 2}

    class After(Stop):
        def __init__(self, checks: int) -> None:
            super().__init__()
            self._left = checks

        def __call__(self) -> bool:
            self._left -= 1
            return self._left < 0

    def digest(name: str, stop: Stop) -> list[Any]:
        network, rows = train(folder, out / name, "partial", "train", settings, dropout=0.4, stop=stop)
        return [hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in network.variables)).hexdigest(), rows]

    found = {"whole": digest("whole", Stop())}
    for checks in (2, 5):  # within the first epoch, and in its validation or the next
        try:
            digest("parts", After(checks))
        except Stopped:
            continue
        raise AssertionError("it was over before it was stopped")
    found["parts"] = digest("parts", Stop())
    (out / "resumed.json").write_text(json.dumps(found))


def save_each_step() -> None:
    """Have trainings of this process write a checkpoint after each step."""
    from thaw.training import fit

    fit.CHECKPOINT_SECONDS = 0.0


def die_once(step: int, fate: Path) -> None:
    """Kill this process when its training has done `step` steps, if none has died before; `fate` says so."""
    from thaw.training import fit

    end_step = fit._Training.end_step

    def end_step_or_die(self: Any, logs: Any) -> None:
        end_step(self, logs)
        if self.step == step and not fate.exists():
            fate.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    fit._Training.end_step = end_step_or_die  # type: ignore[method-assign]


def train_in_group(folder: Path, out: Path, name: str, dies_at: int, member: Any, stop: Any) -> None:
    """One training as a process of a group; the second one kills itself once after `dies_at` steps (0: it does not)."""
    from thaw.training.devices import training_on

    if member.rank == 1:
        die_once(dies_at, out / "died")
    save_each_step()
    strategy, batch_norm, settings = TRAININGS[name]
    with training_on("all_machines", member) as replicas:
        network, rows = train(folder, out / "scratch", strategy, batch_norm, settings, stop=stop, leads=member.leads)
    if member.leads:
        (out / "curve.json").write_text(json.dumps(rows))
        np.savez(out / "weights.npz", *network.get_weights(), replicas=replicas)


def save_network(out: Path) -> None:
    """Save a network as `model.json` and `model.weights.h5` in `out/saved`, and its logits beside it."""
    from thaw.models import build, save
    from thaw.params import ModelParams

    params = ModelParams(architecture="lenet5", weights="none")
    network = build(params, (28, 28, 1), 2, seed=4)
    save(network, out / "saved", {"model": params.model_dump(), "input_shape": (28, 28, 1), "classes": ["a", "b"]})
    np.save(out / "own.npy", logits_of(out / "saved"))


def logits_of(saved: Path) -> np.ndarray:
    """What a saved network gives for five pictures, by `predict` and by the engine of its backend."""
    from thaw.backends import backend
    from thaw.inference import run_in_float32
    from thaw.models import load

    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1)).astype(np.uint8)
    network = load(saved)[0]
    logits = run_in_float32(network, 1)(images)
    np.testing.assert_allclose(backend.runner(network)(images), logits, atol=1e-5)
    return logits


def main(folder: Path, names: list[str]) -> None:
    """These trainings on JAX, with TensorFlow refused; after the quick ones all else."""
    sys.meta_path.insert(0, RefuseTensorFlow())
    out = folder / "jax"
    out.mkdir()
    run_all(folder, out, names)
    if names == QUICK:
        stop_and_go_on(folder, out)
        save_network(out)
        np.save(out / "other.npy", logits_of(folder / "saved"))
    assert not [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
