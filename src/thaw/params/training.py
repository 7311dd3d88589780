"""Parameters of `extract`, `train_frozen` and `fine_tune`."""

from typing import Literal

from pydantic import Field

from thaw.errors import ThawError
from thaw.params.base import Section


class ExtractParams(Section):
    """How the frozen part of the network is run."""

    engine: Literal["auto", "tensorflow", "openvino", "jax"] = "auto"
    """auto: Keras on a GPU, else OpenVINO, else Keras: by a rule and never by a timing. Keras runs on TensorFlow, or on JAX
    with KERAS_BACKEND=jax, which has no OpenVINO."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    batch_size: int = Field(32, ge=1)
    tolerance: float = Field(0.15, gt=0)
    """Largest relative error of the engine against Keras on a sample of the images: the norm of the difference
    over the norm of the output."""


class FitParams(Section):
    """One `fit`, frozen or thawed."""

    epochs: int = Field(20, ge=0)
    min_steps: int = Field(0, ge=0)
    """A small set is shown for more epochs than `epochs` says, until it has made so many steps; 0: `epochs` holds."""
    batch_size: int = Field(32, ge=1)
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    final_learning_rate: float = Field(0.0, ge=0)
    """Where the schedule ends."""
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    warmup_epochs: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of sgd (Nesterov) and rmsprop."""
    final_momentum: float = Field(0.9, ge=0, lt=1)
    """Where the momentum of sgd ends, linearly."""
    weight_decay: float = Field(5e-3, ge=0)
    """Decoupled, of every optimizer but adam; biases and normalization are left out."""
    clip_norm: float = Field(0.0, ge=0)
    """Largest norm of a step's gradient; 0: no clipping."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    labels: Literal["auto", "soft", "hard"] = "auto"
    """soft: the metadata's `probability` is the target, and every image has one; auto: where there is one, else the label."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = "none"
    mixup: float = Field(0.0, ge=0)
    """The alpha of mixup's Beta distribution; 0: none."""
    early_stopping_patience: int = Field(0, ge=0)
    """Epochs without a better validation before training stops, the best weights kept; 0: never stops."""
    early_stopping_monitor: Literal["loss", "accuracy"] = "loss"
    """Keras's name: which of the validation's figures says what is better."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    devices: Literal["auto", "cpu", "gpu", "all_gpus", "all_machines"] = "auto"
    """auto: all GPUs of this machine, else the CPU; all_machines: those of every machine of the Ray cluster that `compute`
    names, with KERAS_BACKEND=jax (docs/gpu.md)."""

    def epochs_of(self, steps_per_epoch: int) -> int:
        """How many epochs are trained, given the steps that one takes."""
        return max(self.epochs, -(-self.min_steps // max(1, steps_per_epoch))) if self.epochs else 0


class FineTuneParams(FitParams):
    """The second `fit`, with layers thawed; undone where validation loss and accuracy get no better and one gets worse."""

    epochs: int = Field(9, ge=0)
    min_steps: int = Field(120, ge=0)
    learning_rate: float = Field(3e-4, gt=0)
    warmup_epochs: float = Field(1.0, ge=0)
    strategy: Literal["head", "partial", "full", "scratch"] = "partial"
    """head: the backbone stays frozen; partial: `from_layer` and all above it train; full: all; scratch: all,
    from random weights."""
    from_layer: str = "auto"
    """With `partial`: the first layer, or block, that is trained; auto: the upper third by depth."""
    batch_norm: Literal["frozen", "train"] = "frozen"
    thawed_learning_rate_factor: float = Field(1.0, gt=0)
    """The thawed layers' learning rate, as a share of the head's."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """The learning rate of a thawed layer with a kernel, as a share of that of the layer above it; 1: all alike."""
    ema_momentum: float = Field(0.0, ge=0, lt=1)
    """Keras's name: what is kept are not the last weights but their exponential moving average over the steps; 0: the last."""
    swa_epoch_start: float = Field(0.0, ge=0, lt=1)
    """Lightning's name: after this share of the epochs the learning rate stays as it is, and what is kept is the mean of the
    weights at the ends of the epochs from then on; 0: the last."""
    class_sampling: Literal["none", "balanced"] = "none"
    """balanced: every class is shown equally often, images of a rare one several times an epoch, in views that take turns."""
    cutmix: float = Field(0.0, ge=0)
    """The alpha of CutMix's Beta distribution: a rectangle of another picture, or of its activations, is pasted in; 0: none."""
    test_time_augmentation: bool = False
    """The model answers with the mean over all flips and turns that `augment` allows, which takes so many times as long."""

    def check(self, source: str) -> None:
        """Refuse what contradicts itself: rare classes that count twice, two averages of the weights, and a mean of weights
        whose BatchNorm statistics are those of others.

        Raises:
            ThawError: names both parameters.
        """
        if self.swa_epoch_start and self.ema_momentum:
            raise ThawError(
                f"{source}: fine_tune.swa_epoch_start beside ema_momentum: the weights that are kept can be one average alone",
                "Set one of them to 0.",
            )
        if self.swa_epoch_start and self.batch_norm == "train":
            raise ThawError(
                f"{source}: fine_tune.swa_epoch_start beside batch_norm: train: the statistics are of the last weights, not of "
                "the mean that is kept",
                "Set batch_norm: frozen, or ema_momentum in place of swa_epoch_start.",
            )
        if self.class_sampling == self.class_weights == "balanced":
            raise ThawError(
                f"{source}: fine_tune.class_sampling beside class_weights: both are balanced, and rare classes count twice",
                "Set one of them to none.",
            )
