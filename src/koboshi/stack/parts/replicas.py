"""The scoring replicas: `koboshi serve` on one slot, three times."""

from koboshi.probes.gateway_probe import probe_replica
from koboshi.stack.part import Part
from koboshi.stack.parts import Container, Technology, mlflow
from koboshi.stack.topology import Ports, Topology

REPLICA_OFFSETS = {"replica-1": 6, "replica-2": 7, "replica-3": 8}


def replica_ports(ports: Ports) -> dict[str, int]:
    """Where each replica answers."""
    return {name: ports.at(offset) for name, offset in REPLICA_OFFSETS.items()}


def replica_parts(topology: Topology, groups: frozenset[str]) -> tuple[Part, ...]:
    """One process each, after the tracking server, when it is one of the stack's."""
    after_ports = (topology.ports.at(mlflow.SERVER),) if "mlflow" in groups else ()
    return tuple(_replica(topology, name, port, after_ports) for name, port in replica_ports(topology.ports).items())


def _replica(topology: Topology, name: str, port: int, after_ports: tuple[int, ...]) -> Part:
    where = ("--host", topology.ports.listen, "--port", str(port), "--name", name)
    return Part(
        name=name,
        group="replicas",
        argv=(topology.executables.koboshi, "serve", "--slot", topology.slot, *where),
        environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        folder=topology.paths.project,
        log=topology.paths.logs / f"{name}.log",
        ports=(port,),
        after_ports=after_ports,
        address=f"http://{topology.ports.address(name, REPLICA_OFFSETS[name])}",
    )


TECHNOLOGY = Technology(
    group="replicas",
    parts=replica_parts,
    after=("mlflow",),
    address=lambda settings: settings.gateway.url,  # replicas make no sense behind somebody else's gateway
    probe_of=lambda _settings, part: probe_replica(part.address),
    container=Container(one_block=True, addresses=True),
)
