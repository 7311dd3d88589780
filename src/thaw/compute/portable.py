"""Functions that hold what cannot be sent to another process, such as a network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_KEPT = 4


@dataclass(frozen=True)
class Portable:
    """`function`, here; in another process what `reopen` gives there, which it is asked for once."""

    function: Callable[[Any], Any]
    reopen: Callable[[], Callable[[Any], Any]]
    """Picklable and hashable: a frozen dataclass. It gives a function that does the same."""

    def __call__(self, value: Any) -> Any:
        return self.function(value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self.reopen,)


@lru_cache(_KEPT)
def _opened(reopen: Callable[[], Callable[[Any], Any]]) -> Callable[[Any], Any]:
    return reopen()
