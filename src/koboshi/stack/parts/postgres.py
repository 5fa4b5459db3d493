"""PostgreSQL: the databases of Airflow and MLflow, where the topology has a server for them."""

import secrets
from pathlib import Path

from koboshi.probes.postgres_probe import probe_postgres
from koboshi.stack.part import Part, Step
from koboshi.stack.parts import Container, Secret, Technology
from koboshi.stack.topology import Topology

SERVER = 9
DATABASE_USER = "koboshi"
DATABASES = ("airflow", "mlflow")
PASSWORD = Secret("postgres", "KOBOSHI_POSTGRES_PASSWORD", lambda: secrets.token_urlsafe(24))


def database(topology: Topology, name: str, file: Path) -> str:
    """The URL of a part's database: on the server, or in a file of its own."""
    if PASSWORD.name not in topology.secrets:
        return f"sqlite:///{file}"
    server = topology.ports.address("postgres", SERVER)
    return f"postgresql+psycopg://{DATABASE_USER}:{topology.secrets[PASSWORD.name]}@{server}/{name}"


def gates(topology: Topology) -> tuple[int, ...]:
    """The ports that must accept before a database can be used."""
    return (topology.ports.at(SERVER),) if PASSWORD.name in topology.secrets else ()


def postgres_part(topology: Topology) -> Part:
    """One server; its storage, with the databases in it, is made before the first start."""
    data, port = topology.paths.state_dir / "postgres" / "data", topology.ports.at(SERVER)
    options = {"listen_addresses": topology.ports.listen, "port": str(port), "unix_socket_directories": "/tmp"}  # noqa: S108 (its own)
    flags = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    return Part(
        name="postgres",
        group="postgres",
        argv=("postgres", "-D", str(data), *flags),
        environment={"PGPASSWORD": topology.secrets[PASSWORD.name]},
        folder=data.parent,
        log=topology.paths.logs / "postgres.log",
        ports=(port,),
        steps=(
            Step((topology.executables.python, "-m", "koboshi.stack.postgres_storage", str(data)), data / "PG_VERSION"),
        ),
        address=topology.ports.address("postgres", SERVER),
    )


TECHNOLOGY = Technology(
    group="postgres",
    parts=lambda topology, _groups: (postgres_part(topology),),
    by_topology=lambda topology: PASSWORD.name in topology.secrets,
    secrets=(PASSWORD,),
    probe_of=lambda _settings, part: probe_postgres(part.address, DATABASE_USER, DATABASES[0]),
    # PostgreSQL waits for its clients to go when it is sent SIGTERM.
    container=Container(volume=True, project=False, stop_signal="SIGINT"),
)
