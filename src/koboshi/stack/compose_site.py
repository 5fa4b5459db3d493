"""The site in containers: each part a host of its name, folders in volumes, secrets as Compose's variables."""

from pathlib import Path

from koboshi import environment as names
from koboshi.stack.places import Places
from koboshi.stack.ports import Ports
from koboshi.stack.programs import Programs
from koboshi.stack.secrets import Secrets
from koboshi.stack.site import Site

BASE_PORT = 23_000  # the block below that of `koboshi up`, so that both can run beside each other
IMAGE_FOLDER = Path("/opt/koboshi")
IMAGE_PROJECT = IMAGE_FOLDER / "project"
PROJECT = Path("/project")


def container_site() -> Site:
    """The same in every container and wherever docker-compose.yml is written. Pure: secrets are Compose's variables."""
    state = PROJECT / ".koboshi"
    places = Places(PROJECT, state, runtime=Path("/tmp/koboshi"))  # noqa: S108 (a container's own)
    secrets = Secrets(
        variable(names.AIRFLOW_JWT),
        variable(names.AIRFLOW_SESSION),
        variable(names.AIRFLOW_FERNET),
        airflow_passwords_path=places.own / "airflow-passwords.json",
        ray_token_path=places.own / "ray-token",
    )
    return Site(places, Ports(BASE_PORT, by_name=True), secrets, image_programs(), variable(names.POSTGRES_PASSWORD))


def image_programs() -> Programs:
    """What deploy/Dockerfile puts on the search path."""
    return Programs(
        python="python",
        koboshi="koboshi",
        java="java",
        envoy="envoy",
        kafka_jars=IMAGE_FOLDER / "jars",
        search_path=f"{IMAGE_FOLDER}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
    )


def variable(name: str) -> str:
    """A secret as Compose puts it in, and what Compose says where it is not set."""
    return f"${{{name}:?run koboshi compose init first}}"
