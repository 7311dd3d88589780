"""Networks trained from scratch: a module each, with a function of its name; `thaw.models.catalog` says more of each.

A function takes scaled pixels, a symbolic tensor `(batch, height, width, channels)`, and the number of outputs, and
returns the logits `(batch, outputs)`. Layers named `flatten`, `hidden...`, `dropout...` and `logits` are the
classifier, all others the feature extractor.
"""

from thaw.models.networks.alexnet import alexnet
from thaw.models.networks.conv_dropout import conv_dropout
from thaw.models.networks.convnet_150 import convnet_150
from thaw.models.networks.convnet_small import convnet_small
from thaw.models.networks.lenet5 import lenet5
from thaw.models.networks.separable import separable

__all__ = ["alexnet", "conv_dropout", "convnet_150", "convnet_small", "lenet5", "separable"]
