"""Airflow: api-server, scheduler, dag-processor and triggerer as programs of their own."""

import base64
import json
import secrets
from importlib.metadata import version
from typing import Any

from koboshi.probes import Health
from koboshi.probes.airflow_probe import probe_airflow
from koboshi.settings import Settings
from koboshi.stack.part import Part, Step
from koboshi.stack.parts import Container, Secret, Technology, postgres
from koboshi.stack.parts.ray import ray_client_environment
from koboshi.stack.topology import LOOPBACK, Ports, Topology, text_of

API = 2
ADMIN = "admin"
SQLITE_CONNECT_ARGS = {"timeout": 30}  # seconds that one of the programs waits for another's write


def random_key() -> str:
    """A key as Airflow wants them: 32 bytes."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


JWT = Secret("jwt", "KOBOSHI_AIRFLOW_JWT", random_key)
SESSION = Secret("session", "KOBOSHI_AIRFLOW_SESSION", random_key)
FERNET = Secret("fernet", "KOBOSHI_AIRFLOW_FERNET", random_key)
PASSWORD = Secret(
    "password",
    "KOBOSHI_AIRFLOW_PASSWORD",
    lambda: secrets.token_urlsafe(12),
    file="airflow-passwords.json",
    text=lambda password: json.dumps({ADMIN: password}),
)


def base_url(ports: Ports) -> str:
    """The user interface and the REST interface."""
    return f"http://{ports.address('airflow-api-server', API)}"


def airflow_parts(topology: Topology) -> tuple[Part, ...]:
    """The api-server migrates the database, the others wait for that."""
    paths, ports, python = topology.paths, topology.ports, topology.executables.python
    home = paths.state_dir / "airflow"
    migrated = home / f"migrated-{version('apache-airflow')}"
    environment = airflow_environment(topology)
    migrate = Step((python, "-m", "koboshi.stack.airflow_database"), migrated)

    def part(name: str, *words: str, steps: tuple[Step, ...] = (), address: str = "") -> Part:
        return Part(
            name=f"airflow-{name}",
            group="airflow",
            argv=(python, "-m", "airflow", name, *words),
            environment=environment,
            folder=home,
            log=paths.logs / f"airflow-{name}.log",
            ports=(ports.at(API),) if name == "api-server" else (),
            steps=steps,
            after_ports=postgres.gates(topology),
            after_files=() if steps else (migrated,),
            address=address,
        )

    return (
        part("api-server", "--workers", "1", steps=(migrate,), address=base_url(ports)),
        part("scheduler", "--skip-serve-logs"),
        part("dag-processor"),
        part("triggerer", "--skip-serve-logs"),
    )


def airflow_environment(topology: Topology) -> dict[str, str]:
    """Every setting of the four programs and of the tasks that they run."""
    paths, ports, given = topology.paths, topology.ports, topology.secrets
    home = paths.state_dir / "airflow"
    settings = {
        "CORE__DAGS_FOLDER": paths.project / "dags",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 4,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__EXECUTION_API_SERVER_URL": f"{base_url(ports)}/execution/",
        "CORE__FERNET_KEY": given[FERNET.name],
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": paths.own / PASSWORD.file,
        **_database(topology),
        "API__HOST": ports.listen,
        "API__PORT": ports.at(API),
        "API__BASE_URL": f"http://{LOOPBACK}:{ports.at(API)}",  # what a browser on this machine is sent to
        "API__SECRET_KEY": given[SESSION.name],
        "API_AUTH__JWT_SECRET": given[JWT.name],
        "LOGGING__BASE_LOG_FOLDER": paths.logs / "airflow",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 30,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 5,
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 15,
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 15,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.5,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 30,
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        "USAGE_DATA_COLLECTION__ENABLED": False,
    }
    return {
        **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
        **ray_client_environment(topology),
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(paths.project),
        "PATH": topology.executables.search_path,
    }


def _database(topology: Topology) -> dict[str, Any]:
    url = postgres.database(topology, "airflow", topology.paths.state_dir / "airflow" / "airflow.db")
    if postgres.PASSWORD.name in topology.secrets:
        return {"DATABASE__SQL_ALCHEMY_CONN": url, "DATABASE__SQL_ALCHEMY_CONN_ASYNC": url}
    return {
        "DATABASE__SQL_ALCHEMY_CONN": url,
        "DATABASE__SQL_ALCHEMY_CONNECT_ARGS": f"{__name__}.SQLITE_CONNECT_ARGS",
    }


def _probe_of(settings: Settings, part: Part) -> Health:
    beating = tuple({part.name.removeprefix("airflow-").replace("-", "_")} - {"api_server"})
    return probe_airflow(str(settings.airflow.base_url), beating)


def _login(settings: Settings) -> dict[str, str | None]:
    """A file that a person has named may hold anything: then no login is shown, and the parts are all the same."""
    opened = {"what": "Airflow", "url": settings.airflow.base_url}
    try:
        password = json.loads(text_of(settings.airflow.passwords_path))[settings.airflow.username]
    except (ValueError, KeyError, TypeError):
        return opened
    return {**opened, "user": settings.airflow.username, "password": str(password)}


TECHNOLOGY = Technology(
    group="airflow",
    parts=lambda topology, _groups: airflow_parts(topology),
    after=("postgres", "ray"),
    address=lambda settings: settings.airflow.base_url,
    endpoints=lambda topology: {
        "base_url": base_url(topology.ports),
        "username": ADMIN,
        "passwords_path": str(topology.paths.own / PASSWORD.file),
    },
    folders=("airflow",),
    secrets=(JWT, SESSION, FERNET, PASSWORD),
    probe=lambda settings, _parts: probe_airflow(str(settings.airflow.base_url)),
    probe_of=_probe_of,
    login=_login,
    foreign=("AIRFLOW",),
    container=Container(
        published=("airflow-api-server", API),
        one_block=True,
        addresses=True,
        of_browser=lambda port: {"AIRFLOW__API__BASE_URL": f"http://{LOOPBACK}:{port}"},
    ),
)
