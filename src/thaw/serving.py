"""How MLflow loads a model that thaw logged: pixels in, class probabilities out, no pickle on the way."""

from pathlib import Path
from typing import Any

import numpy as np

from thaw.evaluation.judgement import probabilities_of
from thaw.models import load


class ServedModel:
    """A classifier as MLflow's `pyfunc` flavour calls it."""

    def __init__(self, model: Any, classes: list[str]) -> None:
        self._model = model
        self.classes = classes

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """Class probabilities, float32 `(images, classes)`, for pixels `(images, height, width, channels)` of 0 to 255.

        Args:
            data: the pixels, or a mapping with them under `pixels`.
        """
        pixels = np.asarray(data["pixels"] if isinstance(data, dict) else data)
        logits = self._model.predict(pixels, verbose=0)
        return probabilities_of(logits).astype(np.float32)


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's hook; the name is MLflow's."""
    model, config = load(Path(path))
    return ServedModel(model, list(config["classes"]))
