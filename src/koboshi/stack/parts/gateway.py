"""The gateway: one endpoint in front of the replicas, by the gateway's own program and configuration."""

from pathlib import Path

from koboshi.gateways.envoy import ENVOY
from koboshi.gateways.gateway import Front
from koboshi.probes import Health
from koboshi.probes.gateway_probe import probe_gateway
from koboshi.probes.mlflow_probe import aliased_version, example_of
from koboshi.settings import Settings
from koboshi.stack.part import Part
from koboshi.stack.parts import Container, Technology
from koboshi.stack.parts.replicas import replica_ports
from koboshi.stack.paths import StackPaths
from koboshi.stack.topology import Ports, Topology

LISTEN, ADMIN = 4, 5


def gateway_url(ports: Ports) -> str:
    """The balanced endpoint."""
    return f"http://{ports.address('gateway', LISTEN)}"


def gateway_part(topology: Topology) -> Part:
    """One process."""
    paths, ports = topology.paths, topology.ports
    return Part(
        name="gateway",
        group="gateway",
        argv=ENVOY.command(_configuration(paths), topology.executables.gateway),
        environment={},
        folder=paths.state_dir,
        log=paths.logs / "gateway.log",
        ports=(ports.at(LISTEN), ports.at(ADMIN)),
        address=gateway_url(ports),
    )


def write_gateway_files(topology: Topology) -> None:
    """What the gateway reads when it starts."""
    ports = topology.ports
    front = Front(ports.at(LISTEN), ports.at(ADMIN), replica_ports(ports), by_name=ports.by_name)
    ENVOY.reload(_configuration(topology.paths), front)


def _configuration(paths: StackPaths) -> Path:
    return paths.own / "envoy.yaml"


def _probe(settings: Settings, _parts: tuple[Part, ...]) -> Health:
    uri, model, slot = settings.mlflow.tracking_uri, settings.serving.model, settings.serving.slot
    return probe_gateway(
        str(settings.gateway.url),
        lambda served, version: example_of(uri, served, version) if uri else None,
        lambda: uri is not None and aliased_version(uri, model, slot) is not None,
    )


TECHNOLOGY = Technology(
    group="gateway",
    parts=lambda topology, _groups: (gateway_part(topology),),
    after=("replicas",),
    address=lambda settings: settings.gateway.url,
    endpoints=lambda topology: {"url": gateway_url(topology.ports)},
    files=write_gateway_files,
    probe=_probe,
    login=lambda settings: {
        "what": "Predictions",
        "url": settings.gateway.url and f"{settings.gateway.url}/invocations",
    },
    container=Container(published=("gateway", LISTEN)),
)
