"""PostgreSQL: the databases of Airflow and MLflow, where the site has a server for them."""

import secrets
from pathlib import Path

from koboshi.probes.postgres_probe import probe_postgres
from koboshi.stack.part import Part, Step
from koboshi.stack.parts import Container, Secret, Technology
from koboshi.stack.site import Site

SERVER = 9
DATABASE_USER = "koboshi"
DATABASES = ("airflow", "mlflow")
PASSWORD = Secret("postgres", "KOBOSHI_POSTGRES_PASSWORD", lambda: secrets.token_urlsafe(24))


def database(site: Site, name: str, file: Path) -> str:
    """The URL of a part's database: on the server, or in a file of its own."""
    if PASSWORD.name not in site.secrets:
        return f"sqlite:///{file}"
    server = site.ports.address("postgres", SERVER)
    return f"postgresql+psycopg://{DATABASE_USER}:{site.secrets[PASSWORD.name]}@{server}/{name}"


def gates(site: Site) -> tuple[int, ...]:
    """The ports that must accept before a database can be used."""
    return (site.ports.at(SERVER),) if PASSWORD.name in site.secrets else ()


def postgres_part(site: Site) -> Part:
    """One server; its storage, with the databases in it, is made before the first start."""
    data, port = site.places.state_dir / "postgres" / "data", site.ports.at(SERVER)
    options = {"listen_addresses": site.ports.listen, "port": str(port), "unix_socket_directories": "/tmp"}  # noqa: S108 (its own)
    flags = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    return Part(
        name="postgres",
        group="postgres",
        argv=("postgres", "-D", str(data), *flags),
        environment={"PGPASSWORD": site.secrets[PASSWORD.name]},
        folder=data.parent,
        log=site.places.logs / "postgres.log",
        ports=(port,),
        steps=(Step((site.programs.python, "-m", "koboshi.stack.postgres_storage", str(data)), data / "PG_VERSION"),),
        address=site.ports.address("postgres", SERVER),
    )


TECHNOLOGY = Technology(
    group="postgres",
    parts=lambda site, _groups: (postgres_part(site),),
    by_site=lambda site: PASSWORD.name in site.secrets,
    secrets=(PASSWORD,),
    probe_of=lambda _settings, part: probe_postgres(part.address, DATABASE_USER, DATABASES[0]),
    # PostgreSQL waits for its clients to go when it is sent SIGTERM.
    container=Container(volume=True, project=False, stop_signal="SIGINT"),
)
