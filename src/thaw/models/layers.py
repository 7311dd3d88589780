"""The few layers Keras lacks. None has a trainable weight."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="thaw")
class ReverseChannels(keras.layers.Layer):
    """RGB to BGR, the order in which VGG and ResNet were trained."""

    def call(self, x: Any) -> Any:
        return keras.ops.take(x, [2, 1, 0], axis=-1)


@keras.saving.register_keras_serializable(package="thaw")
class SamplewiseCentering(keras.layers.Layer):
    """Each picture less its own mean over height, width and channels."""

    def call(self, x: Any) -> Any:
        return x - keras.ops.mean(x, axis=(1, 2, 3), keepdims=True)


@keras.saving.register_keras_serializable(package="thaw")
class FeaturewiseStandardization(keras.layers.Layer):
    """Each channel less the train split's mean, over its standard deviation; both are kept as weights."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=channels, initializer="zeros", trainable=False)
        self.variance = self.add_weight(name="variance", shape=channels, initializer="ones", trainable=False)

    def call(self, x: Any) -> Any:
        return (x - self.mean) / keras.ops.sqrt(self.variance + keras.config.epsilon())
