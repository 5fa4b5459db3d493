"""The scoring replicas: `koboshi serve` on one slot, three times."""

from koboshi.probes.gateway_probe import probe_replica
from koboshi.stack.part import Part
from koboshi.stack.parts import Container, Technology, mlflow
from koboshi.stack.ports import Ports
from koboshi.stack.site import Site

REPLICA_OFFSETS = {"replica-1": 6, "replica-2": 7, "replica-3": 8}


def replica_ports(ports: Ports) -> dict[str, int]:
    """Where each replica answers."""
    return {name: ports.at(offset) for name, offset in REPLICA_OFFSETS.items()}


def replica_parts(site: Site, groups: frozenset[str]) -> tuple[Part, ...]:
    """One process each, after the tracking server, when it is one of the stack's."""
    after_ports = (site.ports.at(mlflow.SERVER),) if "mlflow" in groups else ()
    return tuple(_replica(site, name, port, after_ports) for name, port in replica_ports(site.ports).items())


def _replica(site: Site, name: str, port: int, after_ports: tuple[int, ...]) -> Part:
    where = ("--host", site.ports.listen, "--port", str(port), "--name", name)
    return Part(
        name=name,
        group="replicas",
        argv=(site.programs.koboshi, "serve", "--slot", site.slot, *where),
        environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        folder=site.places.project,
        log=site.places.logs / f"{name}.log",
        ports=(port,),
        after_ports=after_ports,
        address=f"http://{site.ports.address(name, REPLICA_OFFSETS[name])}",
    )


TECHNOLOGY = Technology(
    group="replicas",
    parts=replica_parts,
    after=("mlflow",),
    address=lambda settings: settings.gateway.url,  # replicas make no sense behind somebody else's gateway
    probe_of=lambda _settings, part: probe_replica(part.address),
    container=Container(one_block=True, addresses=True),
)
