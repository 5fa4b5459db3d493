"""What koboshi asks of a gateway, whatever program it is."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


@dataclasses.dataclass(frozen=True, slots=True)
class Front:
    """The ports on 127.0.0.1 where a gateway listens and where it tells of itself, and its replicas' by name.

    With `by_name` each replica is a host of its name, as in containers, and the gateway listens to their network.
    """

    listen: int
    admin: int
    replicas: Mapping[str, int]
    by_name: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ReplicaSeen:
    """A replica as the gateway sees it: whether requests are sent to it, and how many tries have failed there."""

    healthy: bool
    troubles: int


class Gateway(Protocol):
    """One program. Nothing outside of its file reads or writes its formats."""

    def command(self, configuration: Path, program: str = "") -> tuple[str, ...]:
        """How it is started; `program` is the one of this environment unless it is given."""
        ...

    def render(self, front: Front) -> str:
        """The text of its configuration. Pure."""
        ...

    def reload(self, configuration: Path, front: Front) -> bool:
        """Publish the configuration whole; False when a running gateway takes it up only by a new start."""
        ...

    def observe(self, admin_url: str) -> dict[int, ReplicaSeen]:
        """What a running gateway knows of each replica, by port. Raises `Unavailable` when it does not answer."""
        ...
