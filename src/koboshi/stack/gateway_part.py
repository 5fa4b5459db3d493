"""The gateway: Envoy from its wheel, one endpoint in front of the replicas."""

from pathlib import Path

from koboshi.files import publish_bytes
from koboshi.stack.part import Part
from koboshi.stack.places import Places
from koboshi.stack.ports import Ports
from koboshi.stack.programs import own_envoy
from koboshi.stack.replica_parts import replica_ports
from koboshi.stack.site import Site

LISTEN, ADMIN = 4, 5


def gateway_url(ports: Ports) -> str:
    """The balanced endpoint."""
    return f"http://{ports.address('gateway', LISTEN)}"


def gateway_part(site: Site) -> Part:
    """One process, as `envoy_command` has it."""
    places, ports = site.places, site.ports
    return Part(
        name="gateway",
        group="gateway",
        argv=envoy_command(_configuration(places), site.programs.envoy),
        environment={},
        folder=places.state_dir,
        log=places.logs / "gateway.log",
        ports=(ports.at(LISTEN), ports.at(ADMIN)),
        address=gateway_url(ports),
    )


def write_gateway_files(site: Site) -> None:
    """What Envoy reads when it starts."""
    from koboshi.serving.envoy_config import render

    ports = site.ports
    text = render(ports.at(LISTEN), ports.at(ADMIN), replica_ports(ports), by_name=ports.by_name)
    publish_bytes(_configuration(site.places), text.encode())


def envoy_command(configuration: Path, envoy: str | None = None) -> tuple[str, ...]:
    """Envoy with a configuration; without hot restart, whose shared memory two stacks would fight for.

    `envoy` is this environment's own unless it is given.
    """
    flags = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
    return (envoy or own_envoy(), "-c", str(configuration), *flags)


def _configuration(places: Places) -> Path:
    return places.own / "envoy.yaml"
