"""The scoring replicas: `koboshi serve` on the champion's slot, three times."""

from koboshi.stack.part import Part
from koboshi.stack.ports import Ports
from koboshi.stack.site import Site

REPLICA_OFFSETS = {"replica-1": 6, "replica-2": 7, "replica-3": 8}
SLOT = "champion"


def replica_ports(ports: Ports) -> dict[str, int]:
    """Where each replica answers."""
    return {name: ports.at(offset) for name, offset in REPLICA_OFFSETS.items()}


def replica_parts(site: Site, after_ports: tuple[int, ...]) -> tuple[Part, ...]:
    """One process each; `after_ports` is the tracking server's, when it is one of the stack's."""
    return tuple(_replica(site, name, port, after_ports) for name, port in replica_ports(site.ports).items())


def _replica(site: Site, name: str, port: int, after_ports: tuple[int, ...]) -> Part:
    where = ("--host", site.ports.listen, "--port", str(port), "--name", name)
    return Part(
        name=name,
        group="replicas",
        argv=(site.programs.koboshi, "serve", "--slot", SLOT, *where),
        environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        folder=site.places.project,
        log=site.places.logs / f"{name}.log",
        ports=(port,),
        after_ports=after_ports,
        address=f"http://{site.ports.address(name, REPLICA_OFFSETS[name])}",
    )
