"""Where a stack stands: all that its parts follow from, and all in which this machine differs from containers."""

import dataclasses
from pathlib import Path

from koboshi.stack.places import Places
from koboshi.stack.ports import Ports
from koboshi.stack.programs import Programs
from koboshi.stack.secrets import Secrets

POSTGRES = 9


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """Folders, addresses, secrets and programs. `postgres` is the URL of a server, where there is one for databases."""

    places: Places
    ports: Ports
    secrets: Secrets
    programs: Programs
    postgres: str = ""

    def database(self, name: str, file: Path) -> str:
        """The URL of a part's database: on the server, or in a file of its own."""
        return f"{self.postgres}/{name}" if self.postgres else f"sqlite:///{file}"

    @property
    def database_gates(self) -> tuple[int, ...]:
        """The ports that must accept before a database can be used."""
        return (self.ports.at(POSTGRES),) if self.postgres else ()
