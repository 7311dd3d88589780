"""Train a small network on one device or on two; for a process of its own, since devices are set up once."""

from pathlib import Path

BATCH_SIZE, STEPS = 16, 50


def pixels_and_targets(images: int):
    """float32 `(images, 1, 6, 6, 2)` and `(images, 1)`."""
    import numpy as np

    inputs = np.random.default_rng(0).standard_normal((images, 1, 6, 6, 2)).astype(np.float32)
    return inputs, (inputs[:, 0].mean((1, 2, 3), keepdims=True)[:, :, 0, 0] > 0).astype(np.float32)


def train_on(count: int, folder: Path, images: int, batch_norm: str) -> None:
    """Train 50 steps on `count` logical CPUs and write the journal's metrics and the weights to `folder`."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    import keras
    import numpy as np

    from thaw.arrays import Rows
    from thaw.backends.tensorflow import mirrored
    from thaw.files import write_json
    from thaw.params import FitParams
    from thaw.training.batches import Examples
    from thaw.training.devices import training_on
    from thaw.training.fit import Job, fit
    from thaw.training.guard import Stop
    from thaw.training.labels import Labels

    folder.mkdir()
    inputs, targets = pixels_and_targets(images)
    np.save(folder / "x.npy", inputs)
    weights = np.random.default_rng(1).uniform(0.5, 2, images).astype(np.float32)
    data = Examples(Rows(folder / "x.npy"), Labels([str(n) for n in range(images)], targets, weights))
    with mirrored(["CPU:0", "CPU:1"]) if count > 1 else training_on("cpu"):
        keras.utils.set_random_seed(1)
        pixels = keras.Input((6, 6, 2))
        normalized = keras.layers.BatchNormalization(momentum=0.9, name="bn", trainable=batch_norm == "train")
        x = keras.layers.Conv2D(4, 3)(normalized(pixels))
        x = keras.layers.Flatten()(keras.layers.ReLU()(x))
        model = keras.Model(pixels, keras.layers.Dense(1, name="logits")(x))
        params = FitParams(
            epochs=STEPS // 5, batch_size=BATCH_SIZE, learning_rate=0.01, precision="float32", clip_norm=1.0,
        )  # fmt: skip
        rows = fit(model, params, data, data, Job(1, 0, "key", folder, Stop()))
    write_json(folder / "rows.json", [row["metrics"] for row in rows])
    np.savez(folder / "weights.npz", **{variable.path: variable.numpy() for variable in model.weights})
