"""Kafka: one broker in KRaft mode, from its published jars, on the Java runtime of a Python package."""

import base64
import hashlib
from pathlib import Path

from koboshi.files import publish_bytes
from koboshi.probes.kafka_probe import probe_kafka
from koboshi.stack.part import Part, Step
from koboshi.stack.parts import Container, Technology
from koboshi.stack.parts.jars import Jars
from koboshi.stack.paths import StackPaths
from koboshi.stack.topology import LOOPBACK, Ports, Topology

BROKER, CONTROLLER = 0, 1
JARS = Jars("kafka", Path(__file__).with_name("kafka.lock"), "Kafka's jars (45 MB, once)")
DETOUR_START, DETOUR_END = 90, 91
HEAP = ("-Xms96m", "-Xmx384m", "-XX:+UseSerialGC")
LOG_CONFIGURATION = """\
Configuration:
  appenders:
    Console: {name: out, target: SYSTEM_ERR, PatternLayout: {pattern: "%d %p %c{1.} %m%n"}}
  Loggers:
    Root: {level: warn, AppenderRef: {ref: out}}
    logger: {name: kafka.server, level: info}
"""


def bootstrap_servers(ports: Ports) -> str:
    """What a client is given."""
    return ports.address("kafka", BROKER)


def detour(ports: Ports) -> tuple[int, int]:
    """Two ports: clients of the broker's listener on the second are sent to the first, where nobody listens.

    A client asks where the brokers are, and connects there past whatever stood between. So who wants something between
    the two, a proxy that can fall silent, listens on the first and forwards to the second.
    """
    return ports.at(DETOUR_START), ports.at(DETOUR_END)


def kafka_part(topology: Topology) -> Part:
    """The broker; its storage is formatted before the first start."""
    paths, ports = topology.paths, topology.ports
    configuration, data = paths.own / "kafka.properties", paths.state_dir / "kafka"
    java = _java(topology)
    identity = ("--cluster-id", cluster_id(paths), "--config", str(configuration), "--ignore-formatted")
    return Part(
        name="kafka",
        group="kafka",
        argv=(*java, "kafka.Kafka", str(configuration)),
        environment={"LC_ALL": "C.UTF-8"},
        folder=paths.state_dir,
        log=paths.logs / "kafka.log",
        ports=(ports.at(BROKER), ports.at(CONTROLLER)),
        steps=(Step((*java, "kafka.tools.StorageTool", "format", *identity), data / "meta.properties"),),
        address=bootstrap_servers(ports),
    )


def _java(topology: Topology) -> tuple[str, ...]:
    return (
        topology.executables.java,
        *HEAP,
        "-XX:+AutoCreateSharedArchive",
        f"-XX:SharedArchiveFile={topology.paths.cache / 'kafka.jsa'}",
        "-Xshare:auto",
        "-Xlog:disable",
        f"-Dlog4j2.configurationFile={topology.paths.own / 'kafka-log4j2.yaml'}",
        "-cp",
        f"{topology.executables.kafka_jars or JARS.folder(topology.paths.cache)}/*",
    )


def cluster_id(paths: StackPaths) -> str:
    """The same for a state folder, whenever it is asked for: a half-formatted storage is formatted again alike."""
    digest = hashlib.sha256(str(paths.state_dir).encode()).digest()[:16]
    return "k" + base64.urlsafe_b64encode(digest).decode()[1:22]


def broker_properties(data: Path, ports: Ports) -> str:
    """server.properties. Nothing is thrown away by age unless its topic says so: events may be years old."""
    start, end = detour(ports)
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{ports.at(CONTROLLER)}",
        "listeners": f"PLAINTEXT://{ports.listen}:{ports.at(BROKER)},CONTROLLER://{LOOPBACK}:{ports.at(CONTROLLER)},"
        f"DETOUR://{LOOPBACK}:{end}",
        "advertised.listeners": f"PLAINTEXT://{bootstrap_servers(ports)},DETOUR://{LOOPBACK}:{start}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,DETOUR:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "log.retention.ms": -1,
        "auto.create.topics.enable": "false",
        "num.partitions": 4,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "default.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def write_kafka_files(topology: Topology) -> None:
    """What the broker reads when it starts."""
    paths, ports = topology.paths, topology.ports
    publish_bytes(paths.own / "kafka.properties", broker_properties(paths.state_dir / "kafka", ports).encode())
    publish_bytes(paths.own / "kafka-log4j2.yaml", LOG_CONFIGURATION.encode())


TECHNOLOGY = Technology(
    group="kafka",
    parts=lambda topology, _groups: (kafka_part(topology),),
    address=lambda settings: settings.kafka.bootstrap_servers,
    endpoints=lambda topology: {"bootstrap_servers": bootstrap_servers(topology.ports)},
    jars=JARS,
    files=write_kafka_files,
    folders=("kafka",),
    probe=lambda settings, _parts: probe_kafka(str(settings.kafka.bootstrap_servers)),
    foreign=("KAFKA_",),
    container=Container(volume=True),
)
