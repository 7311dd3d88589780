"""How MLflow loads a model that thaw logged: pixels in, classes and their probabilities out, no pickle on the way."""

from pathlib import Path
from typing import Any

import numpy as np

from thaw.decision import Decision, decision_of, probabilities_of, views_of
from thaw.inference import run_in_float32
from thaw.models import load


class ServedModel:
    """A classifier as MLflow's `pyfunc` flavour calls it."""

    def __init__(self, model: Any, classes: list[str], decision: Decision, views: int = 1) -> None:
        self._run = run_in_float32(model, views)
        self.classes = classes
        self.decision = decision

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
        """What the model takes pixels `(images, height, width, channels)` of 0 to 255 for.

        Args:
            data: the pixels, or a mapping with them under `pixels`.

        Returns:
            `predicted`, text `(images,)`: the class of each image by the decision the model was evaluated with, or `unsure`
            where that has a bound; and `probabilities`, float32 `(images, classes)`.
        """
        pixels = np.asarray(data["pixels"] if isinstance(data, dict) else data)
        probabilities = probabilities_of(self._run(pixels))
        answers = self.decision.answers(probabilities, self.classes)
        return {"predicted": answers, "probabilities": probabilities.astype(np.float32)}


def _load_pyfunc(path: str) -> ServedModel:
    """MLflow's hook; the name is MLflow's."""
    model, config = load(Path(path))
    return ServedModel(model, list(config["classes"]), decision_of(config), views_of(config))
