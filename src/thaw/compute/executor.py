"""What the engines have in common."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol


class Isolated(Protocol):
    """Work on a shard's items, of which one may kill the process that is at it, or hang in it. It is sent to processes."""

    @property
    def timeout_seconds(self) -> float:
        """Longest time for one item; its process is then killed."""

    def work(self, items: Sequence[Any], on_item: Callable[[int], None]) -> Any:
        """What comes of `items`; `on_item` is called with the index of each before it is begun."""

    def fail(self, item: Any, exit_code: int | None) -> Any:
        """What comes of an item that its process died of, with this exit code, or took too long over: None."""

    def join(self, results: list[Any]) -> Any:
        """One result of those of a shard's parts."""


class Executor(Protocol):
    """An engine. `map` and `map_isolated` yield a result for each shard, in the shards' order.

    Shards are taken only as results are: a few are in flight or held at a time, however many there are. Functions, shards
    and results are picklable; a function does the same for a shard wherever, and however often, it is called.
    """

    threads: int
    """Threads that a function may use for a shard."""

    def map(
        self,
        function: Callable[[Any], Any],
        shards: Iterable[Any],
        prepare: Callable[[Any], Any] | None = None,
        on_gpu: bool = False,
    ) -> Iterator[Any]:
        """`function` of each shard; with `prepare`, of what that makes of the shard.

        Args:
            prepare: what can be done ahead, on another thread: reading, decoding. `function` then stays in this thread.
            on_gpu: `function` runs a network.

        Raises:
            ThawError: what a function raises, or no worker lives to do a shard.
        """

    def map_isolated(self, work: Isolated, shards: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """`work` on each shard's items, in processes of their own: a bad item is lost alone.

        The results of a shard's parts stand in any order where an item was lost.
        """
