"""The pool on Ray: named actors on all nodes, one of them a warm spare. Ray starts and watches; it never restarts."""

import re
import time
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from koboshi.errors import Transient, Unavailable
from koboshi.training.pool import PoolEvent, StepDone, StepFailed, WorkerDied, WorkerReady
from koboshi.training.ray_names import actor_name, step_name
from koboshi.training.spec import TrainingSpec
from koboshi.training.worker import StepOrder, StepResult, UnitWorker

NAMESPACE = "koboshi"
WARM_UP_S = 120.0  # after which a worker that never answered counts as dead
NODES_S = 90.0  # a head that was restarted has its nodes back well before
NO_NODES = "no Ray node with a CPU is alive: see `koboshi status`."
MATHS_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class RayPool:
    """Workers `koboshi-<job>-<n>` of class `UnitWorker`, spread over the nodes that have CPUs.

    `max_restarts=0`: a death is the driver's to handle, for only the ledger knows where to go on. They reserve no CPU,
    since a spare works only when another one is dead; so the nodes are chosen here, and the head is left alone. Each
    step is a Ray task with a name of its own (`step_name`), which the dashboard, the process list and the drill see.
    """

    def __init__(self, spec: TrainingSpec, job: str) -> None:
        """Join the cluster that `RAY_ADDRESS` names; raises `Unavailable` when it gets no nodes in time."""
        ray.init(namespace=NAMESPACE, log_to_driver=False, logging_level="WARNING")
        _wait_for_nodes()
        self._job, self._factories, self._started = job, spec.factories, 0
        self._env = {"env_vars": dict.fromkeys(MATHS_THREADS, str(spec.threads))}
        self._actors: dict[str, Any] = {}
        self._nodes: dict[str, str] = {}
        self._waiting: dict[Any, str] = {}
        self._warm_by: dict[Any, float] = {}

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
        self._actors[name] = actor.remote(self._factories)
        self._nodes[name] = node["NodeName"]
        hello = self._actors[name].hello.remote()
        self._waiting[hello] = name
        self._warm_by[hello] = time.monotonic() + WARM_UP_S

    def begin(self, worker: str, order: StepOrder) -> None:
        """Call `run_step` on the actor."""
        call = self._actors[worker].run_step.options(name=step_name(order.unit, order.step))
        self._waiting[call.remote(order)] = worker

    def next_event(self, timeout_s: float) -> PoolEvent | None:
        """The next answer, death or failure."""
        done, _ = ray.wait(list(self._waiting), timeout=timeout_s)
        if not done:
            return self._overdue()
        worker = self._waiting.pop(done[0])
        self._warm_by.pop(done[0], None)
        try:
            answer = ray.get(done[0])
        except RayActorError as error:
            self._actors.pop(worker, None)
            return WorkerDied(worker, _gist(error))
        except RayTaskError as error:
            reason = f"{type(error.cause).__name__}: {error.cause}"
            return StepFailed(worker, reason, again=isinstance(error.cause, Transient))
        if isinstance(answer, StepResult):
            return StepDone(worker, answer)
        return WorkerReady(worker, answer, self._nodes[worker])

    def close(self) -> None:
        """Kill all workers."""
        for actor in self._actors.values():
            ray.kill(actor)
        ray.shutdown()

    def _next_node(self) -> dict[str, Any]:
        """The nodes in turn; a node that dies before its worker is there shows as that worker's death."""
        if not (nodes := _nodes()):
            raise Unavailable(NO_NODES)
        chosen: dict[str, Any] = sorted(nodes, key=lambda node: str(node["NodeName"]))[self._started % len(nodes)]
        return chosen

    def _overdue(self) -> PoolEvent | None:
        late = next((hello for hello, by in self._warm_by.items() if by < time.monotonic()), None)
        if late is None:
            return None
        worker = self._waiting.pop(late)
        del self._warm_by[late]
        ray.kill(self._actors.pop(worker))
        return WorkerDied(worker, f"it was not ready after {WARM_UP_S:.0f} s")


def _nodes() -> list[dict[str, Any]]:
    """The living nodes that have CPUs."""
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]


def _wait_for_nodes() -> None:
    """Before the run's lease is taken: nobody should hold a lease while there is nobody to do the work."""
    deadline = time.monotonic() + NODES_S
    while not _nodes():
        if time.monotonic() > deadline:
            raise Unavailable(NO_NODES)
        time.sleep(0.5)


def _gist(error: Exception) -> str:
    """The first sentence that says how the process ended; Ray's text has many lines, and advice for other cases."""
    found = re.search(r"Worker exit detail: ([^.\n]+)", str(error))
    return found.group(1) if found else str(error).strip().splitlines()[0][:200]
