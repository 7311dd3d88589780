"""Parameters of `evaluate`."""

from pydantic import Field

from thaw.params.base import Section


class EvaluateParams(Section):
    """How the held-out test split is judged."""

    threshold: float = Field(0.5, gt=0, lt=1)
    """Of two classes: the probability from which an image counts as positive; kept with the evaluated model."""
    bootstrap_samples: int = Field(1000, ge=0)
    """For the intervals of metrics that are no share of the images; 0: none for these."""
    confidence: float = Field(0.95, gt=0, lt=1)
    """Coverage of the intervals."""
    explained_images: int = Field(8, ge=0)
    """So many test images of each kind (surest mistakes, least sure, surest right answers) have a heat map of where the model
    looked (Grad-CAM); so many of the mistakes and right answers stand in `explained.png`."""
