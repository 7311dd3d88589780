"""Parameters of `evaluate`."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from thaw.errors import ThawError
from thaw.params.base import Section

UNSURE = "unsure"
"""The answer where no verdict is sure enough."""


class EvaluateParams(Section):
    """How the held-out test split is judged."""

    threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = 0.5
    """Of two classes: the probability from which an image counts as positive; kept with the evaluated model. auto: chosen on
    validation images and out of fold, never on the test split, by the one aim that is stated below."""
    least_recall: float = Field(0.0, ge=0, lt=1)
    """Aim of `auto`: find this share of the positive images, with the fewest false alarms; 0: not the aim."""
    least_precision: float = Field(0.0, ge=0, lt=1)
    """Aim of `auto`: this share of what counts as positive is so, and as many as can be are found; 0: not the aim."""
    cost_false_positive: float = Field(0.0, ge=0)
    """Aim of `auto`: least cost, both costs above 0; that of a negative image taken for a positive one. 0: not the aim."""
    cost_false_negative: float = Field(0.0, ge=0)
    """That of a positive image taken for a negative one."""
    unsure: float = Field(0.0, ge=0, lt=1)
    """So large a share of the images, those whose verdict is the least sure, may be answered by "unsure" in place of a class;
    0: none. The bound is chosen where `auto` chooses the threshold, and kept with the model."""
    cost_unsure: float = Field(0.0, ge=0)
    """In place of `unsure`: what the answer "unsure" costs, where an error costs 1 on average, or as much as the costs above
    say. It is given where it costs less than the errors it saves; 0: never."""
    bootstrap_samples: int = Field(1000, ge=0)
    """For the intervals of metrics that are no share of the images; 0: none for these."""
    confidence: float = Field(0.95, gt=0, lt=1)
    """Coverage of the intervals."""
    explained_images: int = Field(8, ge=0)
    """So many test images of each kind (surest mistakes, least sure, surest right answers) have a heat map of where the model
    looked (Grad-CAM); so many of the mistakes and right answers stand in `explained.png`."""

    def check(self, source: str) -> None:
        """Refuse what contradicts itself: `auto` without one aim, an aim without `auto`, an answer bounded twice.

        Raises:
            ThawError: names both parameters.
        """
        aims = [name for name in ("least_recall", "least_precision") if getattr(self, name)]
        costs = [name for name in ("cost_false_positive", "cost_false_negative") if getattr(self, name)]
        stated = [*aims, *costs[:1]]
        known = "evaluate.least_recall, evaluate.least_precision, or both of evaluate.cost_false_positive and _negative"
        if self.threshold != "auto" and stated:
            idle = f"evaluate.{stated[0]}"
            raise ThawError(
                f"{source}: {idle}: {getattr(self, stated[0]):g} has no effect beside evaluate.threshold: {self.threshold}",
                f"Set evaluate.threshold to auto, or {idle} to 0.",
            )
        if self.threshold == "auto" and not stated:
            raise ThawError(f"{source}: evaluate.threshold: auto has no aim", f"State one: {known}.")
        if len(stated) > 1:
            raise ThawError(
                f"{source}: evaluate.{stated[0]} and evaluate.{stated[1]}: auto takes one aim",
                f"Set all but one of them to 0: {known}.",
            )
        if len(costs) == 1:
            other = "cost_false_negative" if costs[0] == "cost_false_positive" else "cost_false_positive"
            raise ThawError(f"{source}: evaluate.{costs[0]} without evaluate.{other}", f"Set evaluate.{other} above 0 too.")
        if self.unsure and self.cost_unsure:
            raise ThawError(
                f"{source}: evaluate.unsure and evaluate.cost_unsure both bound the answer",
                "Set evaluate.unsure or evaluate.cost_unsure to 0.",
            )

    def require_classes(self, classes: Sequence[str]) -> None:
        """Refuse what cannot be decided on `classes`, whatever the model says.

        Raises:
            ThawError: a threshold is to be chosen, which is one of two classes, or a class has the name of an answer.
        """
        if self.threshold == "auto" and len(classes) != 2:
            raise ThawError(
                f"evaluate.threshold: auto is of two classes, and there are {len(classes)}",
                "Set evaluate.threshold to 0.5, and its aims to 0.",
            )
        if (self.unsure or self.cost_unsure) and UNSURE in classes:
            key = "unsure" if self.unsure else "cost_unsure"
            raise ThawError(f"evaluate.{key}: a class is called {UNSURE!r}, as the answer is", "Rename the class's folder.")
