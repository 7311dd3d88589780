"""A group with a process on each machine of a Ray cluster: one actor each, placed apart by a placement group."""

import logging
import socket
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from thaw.devices import prepare_backend
from thaw.errors import ThawError
from thaw.training.groups import Ended, Member, Work, work_as
from thaw.training.guard import Stop

_log = logging.getLogger("thaw.training")
_PLACING_SECONDS = 60.0
_CORES = 1
"""That an actor asks for; XLA takes those that are there."""


class RayPlaces:
    """A place on each machine of the cluster that this process is connected to.

    Args:
        batch_size: of the training. No more machines are taken than divide it evenly among their devices.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._held: PlacementGroup | None = None

    def start(self, work: Work) -> list["_RayProcess"]:
        """Start an actor on each machine that is there now.

        Raises:
            ThawError: no machine has room.
        """
        self.close()
        machines, gpus = count_machines(ray.nodes(), self._batch_size)
        bundle = {"CPU": _CORES} | ({"GPU": gpus} if gpus else {})
        self._held = held = placement_group([bundle] * machines, strategy="STRICT_SPREAD")
        if not held.wait(_PLACING_SECONDS):
            raise ThawError(
                f"devices: all_machines: Ray had no room for {machines} processes within {_PLACING_SECONDS:.0f} s",
                "Look at `ray status`: other work may hold the cluster's cores or cards.",
            )
        _log.info("training on %d machines, %s each", machines, f"{gpus} GPUs" if gpus else "on the CPU")
        actors = [_start_actor(held, index, gpus) for index in range(machines)]
        address = ray.get(actors[0].address.remote())
        return [_RayProcess(actor, Member(rank, machines, address), work) for rank, actor in enumerate(actors)]

    def close(self) -> None:
        """Give the places back to Ray."""
        if self._held is not None:
            remove_placement_group(self._held)
            self._held = None


def count_machines(nodes: list[dict[str, Any]], batch_size: int) -> tuple[int, int]:
    """How many machines train, and with how many GPUs each: those with cards, where any has one.

    Args:
        nodes: as `ray.nodes()` gives them.

    Raises:
        ThawError: no machine is there.
    """
    there = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= _CORES]
    with_cards = [resources for resources in there if resources.get("GPU", 0) >= 1]
    gpus = int(min((resources["GPU"] for resources in with_cards), default=0))
    most = len(with_cards or there)
    fitting = [count for count in range(1, most + 1) if batch_size % (count * max(1, gpus)) == 0]
    if not fitting:
        raise ThawError(
            f"devices: all_machines: {most} machines with {gpus} GPUs each cannot divide a batch of {batch_size} evenly",
            f"Set batch_size to a multiple of {max(1, gpus)}, or look at `ray status`.",
        )
    if max(fitting) < most:
        _log.warning("%d of %d machines train: they divide a batch of %d evenly", max(fitting), most, batch_size)
    return max(fitting), gpus


def _start_actor(held: PlacementGroup, index: int, gpus: int) -> Any:
    strategy = PlacementGroupSchedulingStrategy(held, placement_group_bundle_index=index)
    options = {"num_cpus": _CORES, "num_gpus": gpus, "scheduling_strategy": strategy, "max_concurrency": 2}
    return ray.remote(_Actor).options(**options, runtime_env={"env_vars": {"KERAS_BACKEND": "jax"}}).remote()


class _Actor:
    def __init__(self) -> None:
        prepare_backend()
        self._stop = Stop()

    def address(self) -> str:
        return f"{ray.util.get_node_ip_address()}:{free_port()}"

    def work(self, member: Member, work: Work) -> Ended:
        return work_as(member, work, self._stop)

    def stop(self) -> None:
        self._stop.ask()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


class _RayProcess:
    def __init__(self, actor: Any, member: Member, work: Work) -> None:
        self._actor = actor
        self._end = actor.work.remote(member, work)

    def poll(self) -> Ended | None:
        """How it ended; None while it is at work."""
        if not ray.wait([self._end], timeout=0)[0]:
            return None
        try:
            end: Ended = ray.get(self._end)
        except ray.exceptions.RayError as error:
            return Ended(fault=f"{type(error).__name__}: {error}")
        return end

    def ask_to_stop(self) -> None:
        """Have it end after its step."""
        self._actor.stop.remote()

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        ray.kill(self._actor)
