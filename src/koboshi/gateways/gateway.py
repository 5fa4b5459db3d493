"""The interface of a gateway: what koboshi needs from the program in front of the replicas."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


@dataclasses.dataclass(frozen=True, slots=True)
class Front:
    """The layout of a gateway: its port, the port of its administration, and the ports of its replicas by name.

    With `by_name` each replica is a host of its name, as in containers, and the gateway listens to their network.
    """

    listen: int
    admin: int
    replicas: Mapping[str, int]
    by_name: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ReplicaSeen:
    """A replica as the gateway sees it: whether it gets requests, and how many tries on it have failed."""

    healthy: bool
    troubles: int


class Gateway(Protocol):
    """One program. Nothing outside of its file reads or writes its formats."""

    def command(self, configuration: Path, program: str = "") -> tuple[str, ...]:
        """The command that starts it; by default with the program of this environment."""

    def render(self, front: Front) -> str:
        """The text of its configuration. Pure."""

    def reload(self, configuration: Path, front: Front) -> bool:
        """Publish the configuration, whole. False: a running gateway has to be restarted to use it."""

    def observe(self, admin_url: str) -> dict[int, ReplicaSeen]:
        """Each replica, by port, as a running gateway sees it. Raises `Unavailable` if the gateway does not answer."""
