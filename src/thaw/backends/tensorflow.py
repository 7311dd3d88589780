"""TensorFlow: `thaw.backends.Backend` says what each name stands for."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from thaw.backends import Loop, Steps
from thaw.backends.reading import Batch, read_ahead

_log = logging.getLogger("thaw.training")
NAME = "TensorFlow"
JIT_COMPILE = False
DEPTHWISE_REPEATS = False


def count_gpus() -> int:
    return len(tf.config.list_physical_devices("GPU"))


def compute_capability() -> tuple[int, int]:
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    capability: tuple[int, int] = details.get("compute_capability", (0, 0))
    return capability


@contextmanager
def computing_on(gpus: int) -> Iterator[None]:
    for gpu in tf.config.list_physical_devices("GPU"):
        _allow_growth(gpu)
    if gpus > 1:
        with mirrored([device.name for device in tf.config.list_logical_devices("GPU")][:gpus]):
            yield
    else:
        with tf.device("GPU:0" if gpus else "CPU:0"):
            yield


@contextmanager
def mirrored(names: list[str]) -> Iterator[None]:
    """Train on all devices of these names at once; weights and gradients are the same on each."""
    with tf.distribute.MirroredStrategy(names).scope():
        yield


def computing_on_group(rank: int, size: int, coordinator: str) -> AbstractContextManager[int]:
    raise NotImplementedError("keras-team/keras#20585")  # no group is started on TensorFlow


def _allow_growth(gpu: Any) -> None:
    try:
        tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:  # the device is in use already, with the setting it has
        _log.debug("memory growth of %s stands as it is", gpu.name)


def compute_deterministically() -> None:
    tf.config.experimental.enable_op_determinism()


def exclude_tensor_float_32() -> None:
    tf.config.experimental.enable_tensor_float_32_execution(False)


def set_seed(seed: int) -> None:
    keras.utils.set_random_seed(seed)


def sum_gradients(gradients: list[Any]) -> tuple[list[Any], int]:
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return gradients, 1
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients), replica.num_replicas_in_sync


def apply_adam(
    variable: Any,
    momentum: Any,
    velocity: Any,
    gradient: Any,
    learning_rate: Any,
    step: Any,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> bool:
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        return False
    own = variable.value if isinstance(variable, keras.Variable) else variable  # Keras hands TensorFlow's on
    steps = tf.cast(step, tf.float32)
    tf.raw_ops.ResourceApplyAdam(
        var=own.handle, m=momentum.value.handle, v=velocity.value.handle,
        beta1_power=beta_1**steps, beta2_power=beta_2**steps, lr=learning_rate,
        beta1=beta_1, beta2=beta_2, epsilon=epsilon, grad=tf.cast(gradient, tf.float32),
    )  # fmt: skip
    return True


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: tuple[int, int],
    padding: str,
    data_format: str,
    dilation_rate: tuple[int, int],
) -> Any:
    """Of a kernel above 3 by 3 the gradient is Eigen's. oneDNN would compute full convolutions of 16 channels by 16 for
    it, which took 2.4 times as long (docs/benchmarks.md); of 3 by 3 it has a way of its own that is twice as fast as Eigen's.
    """
    height, width = inputs.shape[1:3]
    steps = (1, *strides, 1)
    if max(kernel.shape[:2]) <= 3 or None in (height, width) or data_format != "channels_last" or max(dilation_rate) > 1:
        return keras.ops.depthwise_conv(inputs, kernel, strides, padding, data_format, dilation_rate)
    margins = [(0, 0), *map(partial(_margins, padding), (height, width), kernel.shape[:2], strides), (0, 0)]

    @tf.custom_gradient
    def convolve(x: Any, weights: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            of_x = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x), filter=weights, out_backprop=upstream, strides=steps, padding=padding.upper()
            )
            # TensorFlow gives oneDNN no convolution whose padding is written out.
            of_weights = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=x, filter_sizes=weights.shape, out_backprop=upstream, strides=steps, padding="EXPLICIT",
                explicit_paddings=[margin for pair in margins for margin in pair],
            )  # fmt: skip
            return of_x, of_weights

        return tf.nn.depthwise_conv2d(x, weights, steps, padding.upper()), gradient

    return convolve(inputs, tf.convert_to_tensor(kernel))


def _margins(padding: str, size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's `SAME` or `VALID` adds before and after an axis."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0) if padding == "same" else 0
    return total // 2, total - total // 2


def runner(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    # By this signature it is traced once; else the last batch, which is smaller, would have it traced anew.
    @tf.function(jit_compile=False, input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)])
    def infer(images: Any) -> Any:
        return model(images, training=False)

    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(infer(tf.cast(images, tf.float32)), dtype=np.float32)

    return run


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, tf.errors.ResourceExhaustedError)


def loop(model: keras.Model, shapes: tuple[tuple[int, ...], ...]) -> Loop:
    replicated = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return _ReplicatedLoop(model, shapes) if replicated else _Loop(model, shapes)


def _signature(shapes: tuple[tuple[int, ...], ...]) -> tuple[Any, ...]:
    return tuple(tf.TensorSpec((None, *shape), tf.float32) for shape in shapes)


class _Loop:
    """Of one device. A step is a call of a graph; `fit` and `evaluate` cost some 50 ms an epoch each beside it."""

    def __init__(self, model: keras.Model, shapes: tuple[tuple[int, ...], ...]) -> None:
        self._model = model
        # The variables of the metrics are made here: a graph that is called again makes none.
        model._symbolic_build(data_batch=tuple(np.zeros((1, *shape), np.float32) for shape in shapes))
        graph = partial(tf.function, input_signature=_signature(shapes), autograph=False)
        self._train_step = graph(lambda *batch: model.train_step(batch))
        self._test_step = graph(lambda *batch: model.test_step(batch))

    def train(self, batches: Callable[[], Iterator[Batch]], count: int, steps: Steps) -> None:
        self._model.reset_metrics()
        steps.begin_epoch()
        for batch in read_ahead(batches):
            steps.begin_step()
            steps.end_step(self._train_step(*batch))

    def evaluate(
        self, batches: Callable[[], Iterator[Batch]], count: int, after_batch: Callable[[], None]
    ) -> dict[str, float]:
        self._model.reset_metrics()
        logs: dict[str, Any] = {}
        for batch in read_ahead(batches):
            logs = self._test_step(*batch)
            after_batch()
        return {name: float(value) for name, value in logs.items()}


class _ReplicatedLoop:
    """Of several devices: Keras's own `fit`, which divides the batches between them."""

    def __init__(self, model: keras.Model, shapes: tuple[tuple[int, ...], ...]) -> None:
        self._model = model
        self._signature = _signature(shapes)
        # What kept a batch from being read.
        self._unread: Exception | None = None

    def train(self, batches: Callable[[], Iterator[Batch]], count: int, steps: Steps) -> None:
        with self._plain_errors():
            self._model.fit(self._dataset(batches, count), shuffle=False, verbose=0, callbacks=[_EachStep(steps)])

    def evaluate(
        self, batches: Callable[[], Iterator[Batch]], count: int, after_batch: Callable[[], None]
    ) -> dict[str, float]:
        with self._plain_errors():
            callbacks = [_AfterBatch(after_batch)]
            result = self._model.evaluate(self._dataset(batches, count), verbose=0, return_dict=True, callbacks=callbacks)
        return {name: float(value) for name, value in result.items()}

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Raise what a reader of batches raised: TensorFlow wraps it as an unknown error."""
        try:
            yield
        except Exception:
            if self._unread is not None:
                raise self._unread from None
            raise

    def _dataset(self, batches: Callable[[], Iterator[Batch]], count: int) -> Any:
        """With several replicas Keras looks at the data before it trains: `batches` is called more than once."""

        replicas = tf.distribute.get_strategy().num_replicas_in_sync

        def read() -> Iterator[Batch]:
            try:
                for batch in batches():
                    yield _one_for_each(replicas, batch)
            except Exception as error:
                self._unread = error
                raise

        dataset = tf.data.Dataset.from_generator(read, output_signature=self._signature)
        # Autotuning has nothing to tune here, and its thread sleeps for 10 ms, 20 ms, 40 ms and so on: an epoch's end
        # waits until it wakes, which made epochs of 14 s last 20.5 s.
        options = tf.data.Options()
        options.autotune.enabled = False
        return dataset.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2).with_options(options)


def _one_for_each(replicas: int, batch: Batch) -> Batch:
    """An image at least for each replica: copies that weigh nothing where there are fewer. Keras fails on an empty share."""
    missing = replicas - len(batch[0])
    if missing <= 0:
        return batch
    inputs, targets, weights = (np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) for part in batch)
    weights[-missing:] = 0
    return inputs, targets, weights


class _EachStep(keras.callbacks.Callback):
    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._steps.begin_epoch()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._steps.begin_step()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # The logs are the mean of what each replica counted: not that of the images, where shares differ.
        self._steps.end_step(self.model.get_metrics_result())


class _AfterBatch(keras.callbacks.Callback):
    def __init__(self, after_batch: Callable[[], None]) -> None:
        super().__init__()
        self._after_batch = after_batch

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._after_batch()
