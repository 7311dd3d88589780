"""Ray as an engine: a task a shard. Ray places tasks, and does those of lost workers and nodes again."""

import itertools
import logging
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import TracebackType
from typing import Any

from thaw import telemetry
from thaw.compute import probe
from thaw.compute.executor import Isolated
from thaw.devices import keras_backend, prepare_backend
from thaw.errors import ThawError
from thaw.params.compute import ComputeParams

_log = logging.getLogger("thaw.compute")
_ANSWER_SECONDS = 10
_PROBE_SECONDS = 60.0
_LOST_SECONDS = 20.0
_RETRIES = 3
_ATTEMPTS = 3
_WAIT_SECONDS = 5.0
_ROOMLESS_SECONDS = 60.0
# Of a Ray of its own: results pass through it, a few at a time, and what it has no room for goes to disk.
_STORE_BYTES = 1 << 30


class Cluster:
    """An `Executor` (there) on the nodes of a Ray cluster, or on a Ray of its own, which ends with it."""

    def __init__(self, params: ComputeParams) -> None:
        telemetry.switch_off()
        self._params = params
        self._ray = _import_ray()
        self._where = params.address or "this machine"
        self.threads = params.cpus_per_task
        _connect(self._ray, params)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that work: `id`, `name`, `cpus`, `gpus`."""
        found = [
            {
                "id": node["NodeID"],
                "name": node["NodeManagerAddress"],
                "cpus": node["Resources"].get("CPU", 0.0),
                "gpus": node["Resources"].get("GPU", 0.0),
            }
            for node in self._ray.nodes()
            if node["Alive"]
        ]
        return sorted((node for node in found if node["cpus"]), key=lambda node: node["name"])

    def describe(self) -> list[dict[str, Any]]:
        """The nodes, with what `probe.describe` found on each; without those that were lost.

        Raises:
            ThawError: a node does not answer.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray.cloudpickle.register_pickle_by_value(probe)
        nodes = self.nodes()
        asked = [
            self._ray.remote(probe.describe)
            .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["id"], soft=False))
            .remote()
            for node in nodes
        ]
        for node, answer in zip(nodes, asked, strict=True):
            node["found"] = self._found_on(node, answer)
        return [node for node in nodes if node["found"]]

    def _found_on(self, node: dict[str, Any], answer: Any) -> dict[str, Any]:
        """What `probe.describe` found on a node; nothing of one that was lost: Ray lists it for some seconds more."""
        try:
            found: dict[str, Any] = self._ray.get(answer, timeout=_PROBE_SECONDS)
            return found
        except self._ray.exceptions.RayError as error:
            has_answered = isinstance(error, self._ray.exceptions.RayTaskError)
            until = time.monotonic() + (0 if has_answered else _LOST_SECONDS)
            while time.monotonic() < until:
                if node["id"] not in {alive["id"] for alive in self.nodes()}:
                    _log.warning("node %s is gone", node["name"])
                    return {}
                time.sleep(0.5)
            reason = str(error).strip().splitlines()[-1]
            cure = f"Look at Ray's logs on {node['name']}."
            raise ThawError(f"node {node['name']} does no work: {reason}", cure) from None

    def require_fit(self) -> None:
        """Hold every node to this machine's code and packages.

        Raises:
            ThawError: one differs, or none has room for a task.
        """
        here = probe.describe()
        for node in self.describe():
            difference = probe.mismatch(node["name"], node["found"], here)
            if difference:
                raise ThawError(*difference)
            if node["found"]["processor"] != here["processor"]:
                _log.warning(
                    "node %s has another processor (%s): its networks' results may differ in the last bits",
                    node["name"], node["found"]["processor"],
                )  # fmt: skip
        if not self._room():
            raise self._no_room()

    def map(
        self,
        function: Callable[[Any], Any],
        shards: Iterable[Any],
        prepare: Callable[[Any], Any] | None = None,
        on_gpu: bool = False,
    ) -> Iterator[Any]:
        """A task each, which prepares and works."""
        gpus = self._params.gpus_per_task if on_gpu else 0
        return self._in_order(_Job(function, prepare), shards, gpus)

    def map_isolated(self, work: Isolated, shards: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """A task each, which works in a process of its own, beside the task's."""
        return self._in_order(_IsolatedJob(work), shards, 0)

    def _in_order(self, job: Callable[[Any], Any], shards: Iterable[Any], gpus: float) -> Iterator[Any]:
        """The results of `job`, of which a bounded number is in flight."""
        remote = self._ray.remote(_do_shard).options(
            num_cpus=self._params.cpus_per_task, num_gpus=gpus, max_retries=_RETRIES
        )
        sent = self._ray.put(self._ray.cloudpickle.dumps(job))
        most = self._params.max_in_flight or 2 * max(1, self._room())
        flying: deque[Any] = deque()
        shards = iter(shards)
        while True:
            for shard in itertools.islice(shards, most - len(flying)):
                flying.append(remote.remote(self.threads, sent, self._ray.cloudpickle.dumps(shard)))
            if not flying:
                return
            result = self._take(flying[0])
            flying.popleft()
            yield result

    def _take(self, answer: Any) -> Any:
        """A task's result, waited for as long as there is a node that could give it.

        Raises:
            ThawError: the task's own; or its workers died again and again, or no node has room, or the cluster is gone.
        """
        errors = self._ray.exceptions
        roomless = time.monotonic()
        try:
            while not self._ray.wait([answer], timeout=_WAIT_SECONDS)[0]:
                if self._room():
                    roomless = time.monotonic()
                elif time.monotonic() - roomless > _ROOMLESS_SECONDS:
                    raise self._no_room()
            outcome = pickle.loads(self._ray.get(answer))  # noqa: S301 - of this driver's own task
        except errors.RayTaskError:
            raise  # a fault of the task's code, told with its traceback
        except errors.RayError as error:
            reason = str(error).strip().splitlines()[0]
            raise ThawError(
                f"Ray on {self._where}: a task was lost {_RETRIES + 1} times: {reason}",
                "Look at its nodes' memory (`ray memory`); with a higher compute.cpus_per_task fewer tasks share a node.",
            ) from None
        except ConnectionError as error:
            raise ThawError(
                f"Ray on {self._where} is gone: {error}", "See to its head node, and run again: what is booked is kept."
            ) from None
        if isinstance(outcome, ThawError):
            raise outcome
        return outcome

    def _room(self) -> int:
        """Tasks that all nodes together have room for."""
        return sum(int(node["cpus"] // self._params.cpus_per_task) for node in self.nodes())

    def _no_room(self) -> ThawError:
        cpus = [node["cpus"] for node in self.nodes()]
        found = f"the largest has {max(cpus):g}" if cpus else "there is none"
        return ThawError(
            f"Ray on {self._where}: no node has {self._params.cpus_per_task} cores for a task: {found}",
            "Start nodes (`ray start --address=...`), or lower compute.cpus_per_task.",
        )


@dataclass(frozen=True)
class _Job:
    """`Executor.map` of one shard."""

    function: Callable[[Any], Any]
    prepare: Callable[[Any], Any] | None

    def __call__(self, shard: Any) -> Any:
        return self.function(self.prepare(shard) if self.prepare else shard)


@dataclass(frozen=True)
class _IsolatedJob:
    """`Executor.map_isolated` of one shard."""

    work: Isolated

    @cached_property
    def _process(self) -> Callable[[Sequence[Any]], Any]:
        from thaw.compute.isolated import OneProcess

        return OneProcess(self.work)

    def __call__(self, shard: Sequence[Any]) -> Any:
        return self._process(shard)


def _do_shard(threads: int, job: bytes, shard: bytes) -> bytes:
    """A task, of pickles: the head, which passes them on to a driver at `ray://`, would open each network and result."""
    _get_ready(threads)
    try:
        outcome = _load(job)(pickle.loads(shard))  # noqa: S301 - of the driver that this task is from
    except ThawError as error:
        outcome = error
    return pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)


@lru_cache(4)
def _load(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301 - likewise


def _get_ready(threads: int) -> None:
    """What the command line does first; and a network keeps to the cores that its task is given."""
    telemetry.switch_off()
    prepare_backend()
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ThawError(
            "compute.engine: ray: the package ray is not installed",
            "Run `pip install 'thaw[ray]'`, or set compute.engine: local.",
        ) from None
    return ray


def _connect(ray: Any, params: ComputeParams) -> None:
    """Become a driver of the cluster, or of a Ray of its own.

    Raises:
        ThawError: nobody answers, or Ray refuses.
    """
    options: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
    if params.address:
        _require_answer(params.address)
        options |= {"address": params.address}
    else:
        options |= {
            "address": "local", "num_cpus": params.workers or None, "include_dashboard": False,
            "object_store_memory": _STORE_BYTES, "_node_ip_address": "127.0.0.1",
        }  # fmt: skip
    if keras_backend() != "tensorflow":  # which a node's own environment need not say
        options |= {"runtime_env": {"env_vars": {"KERAS_BACKEND": keras_backend()}}}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _init(ray, options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ThawError(
            f"compute.address: {params.address or 'a Ray of its own'}: {reason}",
            "host:6379 takes a machine that is itself a node (`ray start --address=host:6379`), ray://host:10001 any with the "
            "same Python, Ray and token; `ray status` tells whether the cluster is up.",
        ) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray sets one of its own; a stage that is to end writes a checkpoint


def _init(ray: Any, options: dict[str, Any]) -> None:
    """`ray.init`, and again: for each driver at `ray://` the head forks a server, and gRPC may not live through that."""
    for _ in range(_ATTEMPTS - 1):
        try:
            ray.init(**options)
            return
        except ConnectionError as error:
            _log.info("Ray did not take the connection (%s); trying again", str(error).strip().splitlines()[0])
            ray.shutdown()
    ray.init(**options)


def _require_answer(address: str) -> None:
    """Hold an address to a server that is there, before Ray tries for minutes, and then ends the process.

    Raises:
        ThawError: nothing speaks gRPC there.
    """
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return  # with certificates that Ray knows
    import grpc

    place = address.removeprefix("ray://")
    channel = grpc.insecure_channel(place, options=[("grpc.enable_http_proxy", 0)])
    try:
        grpc.channel_ready_future(channel).result(timeout=_ANSWER_SECONDS)
    except grpc.FutureTimeoutError:
        raise ThawError(
            f"no Ray answers at {address} (compute.address, --compute)",
            "Start one with `ray start --head`, name another (host:6379, ray://host:10001), or use --compute local.",
        ) from None
    finally:
        channel.close()
