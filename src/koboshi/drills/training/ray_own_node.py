"""A Ray node of a drill's own, which reaches the head at an address that the drill chooses.

As a program (`python -m koboshi.drills.training.ray_own_node start …`) it is `ray start` that notes no address: that
notes the head's address, as this node was told it, where the drivers of later jobs look for it, and a node that reaches
the head through a proxy would send them there, also when the proxy is long gone.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

from koboshi.drills.kit.own_run import OwnProcess
from koboshi.errors import Unavailable
from koboshi.settings import Settings
from koboshi.stack.lifecycle import known_parts
from koboshi.stack.parts.ray import NODE_PORTS, NODES, OBJECT_STORE_BYTES, START
from koboshi.stack.paths import find_paths
from koboshi.stack.process_table import ours, read_processes, start_ticks
from koboshi.stack.topology import choose_base, first_ephemeral_port, is_free

PROGRAM = "koboshi.drills.training.ray_own_node"
WORKER_PORTS = 20
CPUS = 2


class OwnRayNode(OwnProcess):
    """One node more for the stack's cluster, on this machine; `stop` ends all of its processes."""

    def __init__(self, settings: Settings, folder: Path, name: str, address: str) -> None:
        """Nothing runs yet."""
        parts = known_parts(find_paths(settings.project, settings.state_dir))
        if NODES[0] not in parts:
            raise Unavailable("Ray is not a part of this stack: start it with `koboshi up ray`.")
        base = choose_base(settings.stack.base_port, None, frozenset(), first_ephemeral_port(), is_free)
        numbers = [str(base + offset) for offset in range(len(NODE_PORTS) + WORKER_PORTS)]
        flags = {
            "address": address,
            "num-cpus": str(CPUS),
            **dict(zip(NODE_PORTS, numbers, strict=False)),
            "worker-port-list": ",".join(numbers[len(NODE_PORTS) :]),
            "node-ip-address": "127.0.0.1",
            "node-name": name,
            "object-store-memory": str(OBJECT_STORE_BYTES),
        }
        words = [word for flag, value in flags.items() for word in (f"--{flag}", value)]
        super().__init__(name, [sys.executable, "-m", PROGRAM, *START[2:], *words], folder, parts[NODES[0]].environment)
        self._recorded: tuple[int, int] | None = None

    def start(self) -> None:
        """Start it; Ray tells when it has joined. Where its own time limits are too short, Ray gives it up: it ends."""
        super().start()
        self._recorded = (self.pid, start_ticks(self.pid))

    def stop(self) -> None:
        """SIGKILL to all that it has started; the head takes it for dead after a moment."""
        if self._recorded is None:
            return
        for pid in ours(read_processes(), [self._recorded], tag="", apart=frozenset({os.getpid()})):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().stop()


def note_no_address(_address: str, _folder: str | None = None) -> None:
    """In the place of `write_ray_address`."""


def start_a_node() -> None:
    """`ray start` with the arguments of this process."""
    import ray._private.utils
    from ray.scripts.scripts import main

    from koboshi.stack import ray_start

    ray._private.utils.write_ray_address = note_no_address
    ray_start.stay_local()
    ray_start.leave_out_remote_drivers()
    ray_start.take_no_node_for_a_head()
    ray_start.be_patient_with_the_raylet()
    main()


if __name__ == "__main__":
    start_a_node()
