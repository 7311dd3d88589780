"""Parameters of the network."""

from typing import Literal

from pydantic import Field

from thaw.params.base import Section


class ModelParams(Section):
    """The network: a backbone with a head, or a network of its own."""

    architecture: str = "efficientnet_lite0"
    """`thaw model list` names them all."""
    weights: str = "imagenet"
    """Of a backbone: `imagenet`, `none` (random), or a `.weights.h5` file of it in `models/pretrained`. A network of its
    own starts from random weights."""
    head: Literal["gap", "flatten", "dense"] = "gap"
    """What stands between a backbone and the linear output; a network of its own has one, and takes no other."""
    hidden_units: int = Field(256, ge=1)
    """Width of the hidden layer of head `dense`."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """In the head of a backbone."""
    normalization: Literal["auto", "unit", "samplewise", "featurewise"] = "auto"
    """How pixels are scaled inside the model; auto: as the backbone's weights expect it."""
