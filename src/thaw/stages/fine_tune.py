"""Stage `fine_tune`: thaw upper layers and train on at a low rate."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from thaw import engines
from thaw.augmentation.policy import symmetries
from thaw.augmentation.views import open_views, read_policy
from thaw.backends import backend
from thaw.errors import ThawError
from thaw.files import digest, digest_folder, write_csv
from thaw.models.averaging import Symmetry, average_over
from thaw.models.cutting import cut
from thaw.models.folding import fold
from thaw.models.freezing import freeze, frozen_digest, rate_factors
from thaw.models.network import build, set_statistics
from thaw.models.pretrained import is_pretrained
from thaw.models.saving import load, save
from thaw.params import AugmentParams, ComputeParams, ExtractParams, FineTuneParams, ModelParams
from thaw.params.effects import no_effect
from thaw.splitting.files import read_classes, read_split
from thaw.statistics.temperature import fit_temperature
from thaw.training.activations import Cache, activations_key, sample_pictures, storage_dtype
from thaw.training.batches import Examples, cut_mix
from thaw.training.checkpoints import training_key
from thaw.training.devices import training_on, trains_on_gpus
from thaw.training.fit import Job, fit, predict
from thaw.training.groups import ALONE, Member
from thaw.training.groups.machines import train_on_machines
from thaw.training.guard import Stop, guarded
from thaw.training.inputs import Inputs
from thaw.training.journal import write_curve
from thaw.training.labels import Labels, balanced_shares, make_labels
from thaw.training.objective import judge
from thaw.training.optimizers import Tuning

_log = logging.getLogger("thaw.fine_tune")
_PHASE = 1
_FLIPS = ("horizontal_flip", "vertical_flip", "right_angle_turns")
"""Of the policy what the images may have decided, so that `model.json` tells what came of it."""


@dataclass(frozen=True)
class FineTuneInputs:
    """What `fine_tune` reads."""

    views_dir: Path
    train_path: Path
    validation_path: Path
    classes_path: Path
    frozen_dir: Path


@dataclass(frozen=True)
class FineTuneOutputs:
    """What `fine_tune` writes."""

    fine_tuned_dir: Path
    fine_tuned_curve_path: Path
    validation_logits_path: Path
    """CSV: `path`, then the logits before the temperature: `logit_<class>`, of two classes the positive one's."""


def fine_tune(
    params: FineTuneParams,
    seed: int,
    extract: ExtractParams,
    compute: ComputeParams,
    inputs: FineTuneInputs,
    outputs: FineTuneOutputs,
    scratch_dir: Path,
) -> None:
    """Train the layers that `params.strategy` thaws, from the activations of those that stay frozen.

    The network of `train_frozen` is kept where fine-tuning did harm: where validation loss and accuracy are no better than
    before, and one is worse. `phase` in `model.json` says which it is. The network that is kept is calibrated: the temperature
    of the validation images is its last layer, and stands in `model.json`.

    Raises:
        ThawError: the data do not fit, the loss is not finite, memory runs out, or a frozen weight moved.
        Stopped: on request; a checkpoint holds where it stood.
    """
    work = partial(_train, params, seed, extract, compute, inputs, outputs, scratch_dir)
    with guarded(scratch_dir) as stop:
        train_on_machines(params, compute, work, stop, scratch_dir)


def _train(
    params: FineTuneParams,
    seed: int,
    extract: ExtractParams,
    compute: ComputeParams,
    inputs: FineTuneInputs,
    outputs: FineTuneOutputs,
    scratch_dir: Path,
    member: Member,
    stop: Stop,
) -> None:
    key = training_key(
        "fine_tune", params, seed, extract, digest_folder(inputs.views_dir), digest_folder(inputs.frozen_dir),
        *map(digest, (inputs.train_path, inputs.validation_path, inputs.classes_path)),
    )  # fmt: skip
    policy = read_policy(inputs.views_dir)
    averaged_over = _average(policy) if params.test_time_augmentation else []
    with training_on(params.devices, member):
        thawed = thaw_network(params, seed, extract, compute, inputs, scratch_dir, stop, member)
        network = thawed.network
        job = Job(seed, _PHASE, key, scratch_dir, stop, member.leads)
        before = frozen_digest(network)
        undo = _Undo(thawed, params)
        rows = fit(thawed.suffix, params, thawed.train, thawed.validation, job, thawed.tuning(params))
        if frozen_digest(network) != before:
            raise ThawError("fine_tune: a frozen weight moved", "This is a fault of thaw: please report it.")
        _log.debug("frozen weights before and after: %s", before)
        phase = "frozen" if undo.where_worse() else "fine_tuned"
        if not member.leads:
            return
        config = thawed.config | {"phase": phase, "flips": _flips(policy)}
        if averaged_over:
            config["symmetries"] = averaged_over
            network = average_over(network, averaged_over)
        batch_size = max(1, params.batch_size // max(1, len(averaged_over)))
        logits, temperature = _calibrate(network, inputs, thawed.validation.labels, batch_size)
        write_csv(outputs.validation_logits_path, logits)
        save(thawed.network, outputs.fine_tuned_dir, config | {"temperature": temperature})
        write_curve(outputs.fine_tuned_curve_path, rows)
        job.checkpoints.finish()


def _flips(policy: AugmentParams) -> dict[str, bool]:
    """Which flips and turns the pictures were trained in."""
    return {name: policy.views != 1 and bool(getattr(policy, name)) for name in _FLIPS}


def _average(policy: AugmentParams) -> list[Symmetry]:
    """The flips and turns that the model's answer is the mean over; none where the images spoke against all of them."""
    found = symmetries(policy)
    if len(found) > 1:
        return found
    _log.warning(
        "fine_tune.test_time_augmentation: the images speak against every flip and turn that augment leaves to them (auto): "
        "the model answers by the picture as it is"
    )
    return []


def _calibrate(network: keras.Model, inputs: FineTuneInputs, labels: Labels, batch_size: int) -> tuple[pd.DataFrame, float]:
    """What the network says of the validation images, from the pixels on in float32 as it is judged; and its temperature.

    Fitted on labels, as the model is judged by them, though it may have been taught probabilities.
    """
    rows, classes = read_split(inputs.validation_path), read_classes(inputs.classes_path)
    names = classes[1:] if len(classes) == 2 else classes
    logits = predict(network, Examples(open_views(inputs.views_dir, "validation"), labels), batch_size)
    targets = np.eye(len(classes))[rows["label"].to_numpy()][:, -len(names) :]
    found = fit_temperature(logits, targets, rows["weight"].to_numpy())
    why = found.why_one or f"the likeliest is {found.likeliest:.3g}"
    _log.info("temperature %g by %d validation images: %s", found.value, found.images, why)
    table = pd.DataFrame(logits, columns=[f"logit_{name}" for name in names])
    table.insert(0, "path", rows["path"].to_numpy())
    return table, found.value


@dataclass(frozen=True)
class Thawed:
    """A network ready to be trained on, and what it is trained on."""

    network: keras.Model
    config: dict[str, Any]
    suffix: keras.Model
    """The part that trains, on a processor with what is frozen in it folded; it shares its weights with `network`."""
    train: Examples
    validation: Examples

    def tuning(self, params: FineTuneParams) -> Tuning:
        """How the optimizer goes about it."""
        factors = rate_factors(self.network, params.thawed_learning_rate_factor, params.layer_decay)
        return Tuning(factors, params.ema_momentum, params.swa_epoch_start)


class _Undo:
    """The network as `train_frozen` left it, to go back to; nothing where it was not trained there, or nothing is watched."""

    def __init__(self, thawed: Thawed, params: FineTuneParams) -> None:
        self._thawed, self._params = thawed, params
        was_trained = is_pretrained(ModelParams.model_validate(thawed.config["model"])) and params.strategy != "scratch"
        self._before = self._validate() if was_trained else {}
        self._weights = thawed.network.get_weights() if self._before else []

    def where_worse(self) -> bool:
        """Go back if validation loss and accuracy are no better than before and one is worse; whether it did."""
        before, after = self._before, self._validate() if self._before else {}
        if before == after or after["loss"] < before["loss"] or after["accuracy"] > before["accuracy"]:
            return False
        self._thawed.network.set_weights(self._weights)
        changes = (f"{name} {before[name]:.4g} to {after[name]:.4g}" for name in before)
        _log.warning("fine-tuning did harm (validation %s): the frozen network is kept", ", ".join(changes))
        return True

    def _validate(self) -> dict[str, float]:
        """What the validation images say, at their own temperature: what is kept is calibrated, and a network that is too sure
        of itself may be the better one."""
        watched = self._thawed.validation
        logits = predict(self._thawed.suffix, watched, self._params.batch_size)
        temperature = fit_temperature(logits, watched.labels.targets, watched.labels.weights).value
        return judge(logits / np.float32(temperature), watched.labels, self._params)


def thaw_network(
    params: FineTuneParams,
    seed: int,
    extract: ExtractParams,
    compute: ComputeParams,
    inputs: FineTuneInputs,
    scratch_dir: Path,
    stop: Stop,
    member: Member = ALONE,
) -> Thawed:
    """Load the network, thaw it by strategy, and run what stays frozen over the pictures; of a group the leader does that.

    Raises:
        ThawError: the data do not fit, or the disk is full.
    """
    num_classes = len(read_classes(inputs.classes_path))
    network, config = _load(inputs.frozen_dir, params, seed)
    prefix, suffix = cut(network)
    seen: dict[str, Inputs] = {name: open_views(inputs.views_dir, name) for name in ("train", "validation")}
    if prefix is not None:
        views_digest = digest_folder(inputs.views_dir)
        with member.after_leader("activations"):
            seen = _activations(prefix, seen, extract, compute.cache_gb, views_digest, scratch_dir, stop)
    if params.cutmix and len(seen["train"].shape) != 3:
        why = "where the head alone is trained: what it is given has no places"
        raise no_effect("fine_tune.cutmix", params.cutmix, why, 0.0, "set fine_tune.strategy to partial or full")
    if not trains_on_gpus(params):
        suffix = fold(suffix)
    train_rows, validation_rows = read_split(inputs.train_path), read_split(inputs.validation_path)
    labels = make_labels(train_rows, num_classes, params, balance=True)
    transform = partial(cut_mix, alpha=params.cutmix) if params.cutmix else None
    shares = balanced_shares(train_rows) if params.class_sampling == "balanced" else None
    train = Examples(seen["train"], labels, transform, shares)
    validation = Examples(seen["validation"], make_labels(validation_rows, num_classes, params))
    return Thawed(network, config, suffix, train, validation)


def _load(frozen_dir: Path, params: FineTuneParams, seed: int) -> tuple[keras.Model, dict[str, Any]]:
    """The network of `train_frozen`, thawed; with strategy `scratch` its structure with random weights.

    A network that started from random weights is trained whole.
    """
    backend.set_seed(seed)
    network, config = load(frozen_dir)
    structure = ModelParams.model_validate(config["model"])
    if params.strategy == "scratch":
        statistics = [layer.get_weights() for layer in network.layers if layer.name == "standardize"]
        keras.backend.clear_session()
        network = build(structure, tuple(config["input_shape"]), len(config["classes"]), seed, pretrained=False)
        for mean_and_variance in statistics:
            set_statistics(network, *mean_and_variance)
    strategy = params.strategy
    if not is_pretrained(structure):
        _refuse_unused(params, structure)
        strategy = "scratch"
    freeze(network, strategy, params.from_layer, params.batch_norm)
    if params.swa_epoch_start:
        _refuse_statistics(network, params.swa_epoch_start)
    return network, config


def _refuse_statistics(network: keras.Model, swa_epoch_start: float) -> None:
    """BatchNorms that train have statistics of the last weights, and none of the mean that SWA keeps."""
    if any(isinstance(layer, keras.layers.BatchNormalization) and layer.trainable for layer in network.layers):
        raise ThawError(
            f"fine_tune.swa_epoch_start: {swa_epoch_start}: BatchNorm layers train on {network.name}, and "
            "their statistics would be of the last weights, not of the mean that is kept",
            "Set swa_epoch_start: 0, or ema_momentum in its place.",
        )


def _refuse_unused(params: FineTuneParams, structure: ModelParams) -> None:
    """A network that starts from random weights has nothing to keep frozen; what `params.yaml` says by default may stand."""
    usual = FineTuneParams()
    for key, set_otherwise in (("strategy", params.strategy == "head"), ("from_layer", params.from_layer != usual.from_layer)):
        if set_otherwise:
            why = f"on {structure.architecture} with random weights, which is trained whole"
            cure = "take a backbone with weights; `thaw model list` names them"
            raise no_effect(f"fine_tune.{key}", getattr(params, key), why, getattr(usual, key), cure)


def _activations(
    prefix: keras.Model,
    pictures: dict[str, Inputs],
    extract: ExtractParams,
    cache_gb: float,
    views_digest: str,
    scratch_dir: Path,
    stop: Stop,
) -> dict[str, Inputs]:
    """What the frozen layers make of the pictures, from the cache where it has room."""
    sample = sample_pictures(pictures["train"])
    engine = engines.compile(prefix, extract, scratch_dir, sample)
    values = engine(sample)
    dtype = storage_dtype(values)
    key = activations_key(engine.key, views_digest, dtype)
    cache = Cache(scratch_dir / "activations", cache_gb * 1e9, key)
    return cache.hold(pictures, engine, values.shape[1:], dtype, stop)
