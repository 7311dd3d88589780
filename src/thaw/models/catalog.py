"""The names `model.architecture` may have, without importing a network."""

import difflib
from dataclasses import dataclass
from typing import Literal

from thaw.errors import ThawError

Scaling = Literal["bgr_mean", "half_range", "mean_std", "lite", "unit", "built_in"]
"""How a network's weights expect pixels 0 to 255; `thaw.models.normalization` says what each does."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its classifier."""

    function: str
    """Its name in `keras.applications`, or in `thaw.models.efficientnet_lite`."""
    scaling: Scaling
    smallest: int = 32
    """Smallest height and width in pixels."""
    side: int = 224
    """The height and width it was trained on."""


@dataclass(frozen=True)
class Network:
    """A network of `thaw.models.networks`, trained from scratch."""

    about: str
    smallest: int
    """Smallest height and width in pixels."""
    input_shape: tuple[int, int, int]
    """Height, width and channels it is known for; others do as well."""
    classes: int
    """As many as it is known for."""


LITES = {
    "efficientnet_lite0": Backbone("efficientnet_lite0", "lite"),
    "efficientnet_lite1": Backbone("efficientnet_lite1", "lite", side=240),
    "efficientnet_lite2": Backbone("efficientnet_lite2", "lite", side=260),
}

APPLICATIONS = {
    "vgg16": Backbone("VGG16", "bgr_mean"),
    "vgg19": Backbone("VGG19", "bgr_mean"),
    "resnet50": Backbone("ResNet50", "bgr_mean"),
    "resnet101": Backbone("ResNet101", "bgr_mean"),
    "resnet152": Backbone("ResNet152", "bgr_mean"),
    "resnet50_v2": Backbone("ResNet50V2", "half_range"),
    "resnet101_v2": Backbone("ResNet101V2", "half_range"),
    "resnet152_v2": Backbone("ResNet152V2", "half_range"),
    "mobilenet": Backbone("MobileNet", "half_range"),
    "mobilenet_v2": Backbone("MobileNetV2", "half_range"),
    "mobilenet_v3_small": Backbone("MobileNetV3Small", "built_in"),
    "mobilenet_v3_large": Backbone("MobileNetV3Large", "built_in"),
    "inception_v3": Backbone("InceptionV3", "half_range", 75, 299),
    "inception_resnet_v2": Backbone("InceptionResNetV2", "half_range", 75, 299),
    "xception": Backbone("Xception", "half_range", 71, 299),
    "densenet121": Backbone("DenseNet121", "mean_std"),
    "densenet169": Backbone("DenseNet169", "mean_std"),
    "densenet201": Backbone("DenseNet201", "mean_std"),
    "nasnet_mobile": Backbone("NASNetMobile", "half_range"),
    "nasnet_large": Backbone("NASNetLarge", "half_range", side=331),
    **{
        f"efficientnet_b{n}": Backbone(f"EfficientNetB{n}", "built_in", side=side)
        for n, side in enumerate((224, 240, 260, 300, 380, 456, 528, 600))
    },
    **{
        f"efficientnet_v2_{n.lower()}": Backbone(f"EfficientNetV2{n}", "built_in", side=side)
        for n, side in {"B0": 224, "B1": 240, "B2": 260, "B3": 300, "S": 384, "M": 480, "L": 480}.items()
    },
    **{f"convnext_{n.lower()}": Backbone(f"ConvNeXt{n}", "built_in")
       for n in ("Tiny", "Small", "Base", "Large", "XLarge")},
}  # fmt: skip

BACKBONES = LITES | APPLICATIONS


NETWORKS = {
    "alexnet": Network("five convolutions, three dense layers (2012)", 64, (224, 224, 3), 1000),
    "conv_dropout": Network("growing dropout, two wide dense layers", 16, (96, 96, 1), 30),
    "convnet_150": Network("four pooled convolutions for colour pictures", 46, (150, 150, 3), 2),
    "convnet_small": Network("three convolutions for digits", 18, (28, 28, 1), 10),
    "lenet5": Network("tanh and average pooling (1998)", 28, (28, 28, 1), 10),
    "separable": Network("convolutions and depthwise separable ones", 8, (28, 28, 1), 10),
}


def architectures() -> list[str]:
    """Every name that `model.architecture` may have."""
    return [*BACKBONES, *NETWORKS]


def check_architecture(name: str) -> None:
    """Check that a network of this name exists.

    Raises:
        ThawError: there is none; names the nearest.
    """
    known = architectures()
    if name not in known:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]}?" if near else "`thaw model list` names them all."
        raise ThawError(f"model.architecture: unknown network {name!r}", hint)
