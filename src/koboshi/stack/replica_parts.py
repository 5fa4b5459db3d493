"""The scoring replicas: `koboshi serve` on the champion's slot, three times."""

import sys
from pathlib import Path

from koboshi.stack.part import Part
from koboshi.stack.places import Places
from koboshi.stack.ports import Ports

REPLICA_OFFSETS = {"replica-1": 6, "replica-2": 7, "replica-3": 8}
SLOT = "champion"


def replica_ports(ports: Ports) -> dict[str, int]:
    """Where each replica answers."""
    return {name: ports.at(offset) for name, offset in REPLICA_OFFSETS.items()}


def replica_parts(places: Places, ports: Ports, after_ports: tuple[int, ...]) -> tuple[Part, ...]:
    """One process each; `after_ports` is the tracking server's, when it is one of the stack's."""
    return tuple(_replica(places, name, port, after_ports) for name, port in replica_ports(ports).items())


def _replica(places: Places, name: str, port: int, after_ports: tuple[int, ...]) -> Part:
    command = str(Path(sys.executable).with_name("koboshi"))
    return Part(
        name=name,
        group="replicas",
        argv=(command, "serve", "--slot", SLOT, "--port", str(port), "--name", name),
        environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        folder=places.project,
        log=places.logs / f"{name}.log",
        ports=(port,),
        after_ports=after_ports,
        address=f"http://127.0.0.1:{port}",
    )
