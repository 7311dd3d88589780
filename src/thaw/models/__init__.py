"""Networks: built, frozen, cut, saved.

Names are looked up when they are used, so that the TensorFlow-free ones (`architectures`,
`check_architecture`, `load_config`, `pretrained_digest`) stay free of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thaw.models.catalog import architectures, check_architecture
    from thaw.models.cutting import cut
    from thaw.models.freezing import block_names, freeze, frozen_digest
    from thaw.models.network import build, imagenet_classifier, lite0, set_statistics
    from thaw.models.pretrained import pretrained_digest
    from thaw.models.saving import load, load_config, save

__all__ = [
    "architectures",
    "block_names",
    "build",
    "check_architecture",
    "cut",
    "freeze",
    "frozen_digest",
    "imagenet_classifier",
    "lite0",
    "load",
    "load_config",
    "pretrained_digest",
    "save",
    "set_statistics",
]

_MODULE = {
    "architectures": "catalog", "check_architecture": "catalog", "cut": "cutting", "block_names": "freezing",
    "freeze": "freezing", "frozen_digest": "freezing", "build": "network", "imagenet_classifier": "network",
    "lite0": "network", "set_statistics": "network", "pretrained_digest": "pretrained", "load": "saving",
    "load_config": "saving", "save": "saving",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)
