"""Networks: built, frozen, cut, saved.

Names are looked up when they are used, so that the TensorFlow-free ones (`architectures`,
`check_architecture`, `is_pretrained`, `load_config`, `pretrained_digest`) stay free of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thaw.models.catalog import architectures, check_architecture
    from thaw.models.cutting import cut
    from thaw.models.folding import fold
    from thaw.models.freezing import block_names, freeze, frozen_digest
    from thaw.models.network import build, set_statistics
    from thaw.models.pretrained import is_pretrained, pretrained_digest
    from thaw.models.saving import load, load_config, save

__all__ = [
    "architectures", "block_names", "build", "check_architecture", "cut", "fold", "freeze", "frozen_digest",
    "is_pretrained", "load", "load_config", "pretrained_digest", "save", "set_statistics",
]  # fmt: skip

_NAMES = {
    "catalog": ("architectures", "check_architecture"),
    "cutting": ("cut",),
    "folding": ("fold",),
    "freezing": ("block_names", "freeze", "frozen_digest"),
    "network": ("build", "set_statistics"),
    "pretrained": ("is_pretrained", "pretrained_digest"),
    "saving": ("load", "load_config", "save"),
}


def __getattr__(name: str) -> Any:
    for module, names in _NAMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
