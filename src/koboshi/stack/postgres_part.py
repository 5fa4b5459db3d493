"""PostgreSQL: the databases of Airflow and MLflow, where the site has a server for them."""

from koboshi.stack.part import Part, Step
from koboshi.stack.site import POSTGRES, Site

DATABASES = ("airflow", "mlflow")


def postgres_part(site: Site) -> Part:
    """One server; its storage, with the databases in it, is made before the first start."""
    data, port = site.places.state_dir / "postgres" / "data", site.ports.at(POSTGRES)
    options = {"listen_addresses": site.ports.listen, "port": str(port), "unix_socket_directories": "/tmp"}  # noqa: S108 (its own)
    flags = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    return Part(
        name="postgres",
        group="postgres",
        argv=("postgres", "-D", str(data), *flags),
        environment={"PGPASSWORD": site.postgres_password},
        folder=data.parent,
        log=site.places.logs / "postgres.log",
        ports=(port,),
        steps=(Step((site.programs.python, "-m", "koboshi.stack.postgres_storage", str(data)), data / "PG_VERSION"),),
        address=site.ports.address("postgres", POSTGRES),
    )
