"""What is exported: the network from raw pixels to logits and probabilities, and what is told of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from thaw.decision import decision_of, temperature_of

if TYPE_CHECKING:
    import keras


class Served(NamedTuple):
    """A network as a graph, with what its file tells of it."""

    network: "keras.Model"
    function: Any
    """A `tf.function` from `pixels`, uint8 `(n, height, width, channels)`, to `logits` `(n, outputs)`, already divided by the
    model's temperature, and `probabilities` `(n, classes)`, float32."""
    metadata: Mapping[str, Any]
    """Plain values, for JSON."""

    def constant(self) -> Any:
        """The same `tf.function` with all it captures, weights and Keras's constants, in its graph: of what a graph captures
        converters lose one thing or the other."""
        import tensorflow as tf
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        concrete = convert_variables_to_constants_v2(self.function.get_concrete_function())

        @tf.function(input_signature=self.function.input_signature)
        def infer(pixels: Any) -> dict[str, Any]:
            return dict(zip(("logits", "probabilities"), concrete(pixels), strict=True))

        return infer


def serve(network: "keras.Model", config: Mapping[str, Any]) -> Served:
    """Trace a network for any number of images.

    Args:
        config: the model's `model.json`.
    """
    import tensorflow as tf

    signature = tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8, name="pixels")

    @tf.function(input_signature=[signature], jit_compile=False)
    def infer(pixels: Any) -> dict[str, Any]:
        logits = network(tf.cast(pixels, tf.float32), training=False)
        if logits.shape[-1] == 1:
            positive = tf.sigmoid(logits)
            probabilities = tf.concat([1.0 - positive, positive], axis=1)
        else:
            probabilities = tf.nn.softmax(logits)
        return {"logits": tf.identity(logits, "logits"), "probabilities": tf.identity(probabilities, "probabilities")}

    return Served(network, infer, describe(config))


def describe(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader of the file needs to know, and by which weights it was made."""
    decision = decision_of(config)
    return {
        "classes": list(config["classes"]),
        "threshold": decision.threshold,
        "least_certainty": decision.least_certainty,
        "temperature": temperature_of(config),
        "input_shape": list(config["input_shape"]),
        "pixels": "uint8, 0 to 255, (images, height, width, channels)",
        "channels": "grey" if config["input_shape"][2] == 1 else "RGB",
        "resize": config.get("resize", "stretch"),
        "architecture": config["model"]["architecture"],
        "weights_sha256": config.get("weights_sha256", ""),
    }
