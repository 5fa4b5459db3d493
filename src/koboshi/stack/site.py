"""Where a stack stands: all that its parts follow from, and all in which this machine differs from containers."""

import dataclasses
from pathlib import Path

from koboshi.stack.places import Places
from koboshi.stack.ports import Ports
from koboshi.stack.programs import Programs
from koboshi.stack.secrets import Secrets

POSTGRES = 9
DATABASE_USER = "koboshi"


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """Folders, addresses, secrets and programs; with `postgres_password` the databases are on a server, a part."""

    places: Places
    ports: Ports
    secrets: Secrets
    programs: Programs
    postgres_password: str = ""

    def database(self, name: str, file: Path) -> str:
        """The URL of a part's database: on the server, or in a file of its own."""
        if not self.postgres_password:
            return f"sqlite:///{file}"
        server = self.ports.address("postgres", POSTGRES)
        return f"postgresql+psycopg://{DATABASE_USER}:{self.postgres_password}@{server}/{name}"

    @property
    def database_gates(self) -> tuple[int, ...]:
        """The ports that must accept before a database can be used."""
        return (self.ports.at(POSTGRES),) if self.postgres_password else ()
