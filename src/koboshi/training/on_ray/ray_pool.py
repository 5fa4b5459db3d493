"""The pool on Ray: named actors on all nodes, one of them a warm spare. Ray starts and tells; it never restarts."""

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from koboshi.errors import Unavailable
from koboshi.events import ClusterTooSmall, NodesAwaited, Sink
from koboshi.heartbeat import Rhythm, Watch
from koboshi.heartbeat.udp_beats import UdpBeats
from koboshi.training.driver.pool import (
    Pool,
    PoolEvent,
    StepReturned,
    SupervisedPool,
    WorkerGone,
    WorkerWarm,
    step_raised,
)
from koboshi.training.driver.worker import StepOrder, StepResult, UnitWorker
from koboshi.training.on_ray import actor_name, step_name
from koboshi.training.spec import TrainingSpec

NAMESPACE = "koboshi"
RHYTHM = Rhythm()
WARM_UP_S = 120.0  # after which a worker that never answered counts as dead
NODES_S = 90.0  # a head that was restarted has its nodes back well before
NO_NODES = "no Ray node with a CPU is alive: see `koboshi status`."
MATHS_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def ray_pool(spec: TrainingSpec, job: str, emit: Sink) -> Iterator[Pool]:
    """The pool of a job, watched, for as long as the context lasts; all its workers are gone afterwards.

    Raises `Unavailable` when the cluster that `RAY_ADDRESS` names has no nodes in time.
    """
    with on_ray(spec, job, emit) as pool:
        yield SupervisedPool(pool, pool.beats, Watch(RHYTHM, time.monotonic()))


@contextlib.contextmanager
def on_ray(spec: TrainingSpec, job: str, emit: Sink) -> Iterator["RayPool"]:
    """The pool that nobody watches: it tells of deaths alone."""
    ray.init(namespace=NAMESPACE, log_to_driver=False, logging_level="WARNING")
    try:
        _wait_for_nodes(spec.key, emit)
        with contextlib.closing(RayPool(spec, job)) as pool:
            if pool.places < spec.place.actors:
                emit(ClusterTooSmall(run=spec.key, wanted=spec.place.actors, threads=spec.threads, places=pool.places))
            yield pool
    except RayError as error:  # a step's own errors are the driver's; this one is of the cluster
        raise Unavailable(f"Ray broke off ({_gist(error)}): see `koboshi status`.") from error
    finally:
        ray.shutdown()


class RayPool:
    """Workers `koboshi-<job>-<n>` of class `UnitWorker`, spread over the nodes that have CPUs.

    `max_restarts=0`: a death is the driver's to handle, for only the ledger knows where to go on. They reserve no CPU,
    since a spare works only when another one is dead; so the nodes are chosen here, and the head is left alone. Each
    step is a Ray task with a name of its own (`step_name`), which the dashboard, the process list and the drill see.
    """

    def __init__(self, spec: TrainingSpec, job: str) -> None:
        """Ray is initialised, and has nodes."""
        self._job, self._factories, self._started = job, spec.factories, 0
        self._env = {"env_vars": dict.fromkeys(MATHS_THREADS, str(spec.threads))}
        # As many as the nodes have CPUs for at the beginning, at least one.
        self.places = max(1, int(sum(node["Resources"]["CPU"] for node in _nodes()) // spec.threads))
        self._actors: dict[str, Any] = {}
        self._nodes: dict[str, str] = {}
        self._ended: list[Any] = []  # a handle that is dropped would be the actor's end in Ray's records
        self._waiting: dict[Any, str] = {}
        self._warm_by: dict[Any, float] = {}
        self.beats = UdpBeats(ray.util.get_node_ip_address())

    def grow(self) -> None:
        """Start a worker on the next node."""
        self._started += 1
        name, node = actor_name(self._job, self._started), self._next_node()
        actor = ray.remote(UnitWorker).options(
            name=name,
            num_cpus=0,
            max_restarts=0,
            runtime_env=self._env,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        )
        self._actors[name] = actor.remote(self._factories, name, self.beats.address, RHYTHM.interval_s)
        self._nodes[name] = node["NodeName"]
        hello = self._actors[name].hello.remote()
        self._waiting[hello] = name
        self._warm_by[hello] = time.monotonic() + WARM_UP_S

    def begin(self, worker: str, order: StepOrder) -> None:
        """Call `run_step` on the actor; one that has ended meanwhile is left to what is told of its end."""
        if (actor := self._actors.get(worker)) is not None:
            self._waiting[actor.run_step.options(name=step_name(order.unit, order.step)).remote(order)] = worker

    def end(self, worker: str) -> None:
        """Have Ray kill the actor; what it was called for is not waited for any more."""
        self._waiting = {call: name for call, name in self._waiting.items() if name != worker}
        if (actor := self._actors.pop(worker, None)) is not None:
            ray.kill(actor)
            self._ended.append(actor)

    def next_events(self, timeout_s: float) -> Sequence[PoolEvent]:
        """The answers, deaths and failures that have come, in one go."""
        calls = list(self._waiting)
        if not calls:
            time.sleep(timeout_s)
            return ()
        done, _ = ray.wait(calls, timeout=timeout_s)
        if not done:
            return self._overdue()
        done, _ = ray.wait(calls, num_returns=len(calls), timeout=0)
        return [self._event(call) for call in done]

    def close(self) -> None:
        """Kill all workers."""
        for worker in tuple(self._actors):
            self.end(worker)
        self.beats.close()

    def _event(self, call: Any) -> PoolEvent:
        worker = self._waiting.pop(call)
        self._warm_by.pop(call, None)
        try:
            answer = ray.get(call)
        except RayTaskError as error:
            return step_raised(worker, error.cause)
        except RayError as error:
            self.end(worker)
            return WorkerGone(worker, _gist(error), "memory" if isinstance(error, OutOfMemoryError) else "")
        if isinstance(answer, StepResult):
            return StepReturned(worker, answer)
        return WorkerWarm(worker, answer, self._nodes[worker])

    def _next_node(self) -> dict[str, Any]:
        """The nodes in turn; a node that dies before its worker is there shows as that worker's death."""
        if not (nodes := _nodes()):
            raise Unavailable(NO_NODES)
        chosen: dict[str, Any] = sorted(nodes, key=lambda node: str(node["NodeName"]))[self._started % len(nodes)]
        return chosen

    def _overdue(self) -> Sequence[PoolEvent]:
        now = time.monotonic()
        late = [self._waiting[hello] for hello, by in self._warm_by.items() if by < now and hello in self._waiting]
        for worker in late:
            self.end(worker)
        self._warm_by = {hello: by for hello, by in self._warm_by.items() if by >= now}
        return [WorkerGone(worker, f"it was not ready after {WARM_UP_S:.0f} s") for worker in late]


def _nodes() -> list[dict[str, Any]]:
    """The living nodes that have CPUs."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]


def _wait_for_nodes(run: str, emit: Sink) -> None:
    """Before the run's lease is taken: nobody should hold a lease while there is nobody to do the work."""
    deadline = time.monotonic() + NODES_S
    if not _nodes():
        emit(NodesAwaited(run=run, within_s=NODES_S))
    while not _nodes():
        if time.monotonic() > deadline:
            raise Unavailable(NO_NODES)
        time.sleep(0.5)


def _gist(error: Exception) -> str:
    """The first sentence that says how the process ended; Ray's text has many lines, and advice for other cases."""
    found = re.search(r"Worker exit detail: ([^.\n]+)", str(error))
    return found.group(1) if found else (str(error).strip() or type(error).__name__).splitlines()[0][:200]
