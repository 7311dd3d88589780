"""The licences that thaw knows by itself: of the demos' images, and of the weights it carries."""

from collections.abc import Iterable
from hashlib import sha256

ELPV = "ELPV images: CC BY-NC-SA 4.0, Buerhop-Lutz, Deitsch et al. (github.com/zae-bayern/elpv-dataset)"
DIGITS = "Digits: E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, CC BY 4.0, as scikit-learn carries them"
_IMAGES = {
    "de62d87dcc4916d250b329f41a4f86f14fc9b5dc31094a42b4e60f3fefe415d9": ELPV,
    "ac7b0957ca37c8c7657d1be3de581e153dada77900ea6200e49de8738b69e289": DIGITS,
}
_LITE = "EfficientNet-Lite, Google: Apache-2.0; trained on ImageNet, whose images are for research alone"


def digest_images(images: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the paths and hashes of images, in the order of the paths: the same images under the same names."""
    return sha256("".join(f"{path}\0{content}\n" for path, content in sorted(images)).encode()).hexdigest()


def images_licence(images_digest: str) -> str:
    """The licence of a demo's images, known by `digest_images`; empty for all others."""
    return _IMAGES.get(images_digest, "")


def weights_licence(architecture: str, weights: str) -> str:
    """Of the weights that training began with; `weights` is `model.weights`."""
    if weights == "none":
        return "none: training began with random weights"
    if weights != "imagenet":
        return f"those of the file `{weights}`; thaw does not know its licence"
    if architecture.startswith("efficientnet_lite"):
        return _LITE
    return "as `keras.applications` names them for this network; trained on ImageNet, whose images are for research alone"
