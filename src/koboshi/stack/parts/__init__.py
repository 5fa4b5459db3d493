"""The parts of the stack, one file for each technology, found by going over this folder: a new file is a new part.

A module that describes a technology has a constant `TECHNOLOGY`. Every verb imports these modules, so they import
little: a client library is imported in the function that uses it.
"""

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

    from koboshi.probes import Health
    from koboshi.settings import Settings
    from koboshi.stack.part import Part
    from koboshi.stack.parts.jars import Jars
    from koboshi.stack.topology import Topology

FRESH_S = 45.0


def _nothing(_topology: "Topology") -> None:
    """No files are needed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """The services of a technology in docker-compose.yml, as far as they differ from the usual service.

    `published`: the part that a person opens, and the offset of its port.
    `one_block`: all its parts have the same variables, and the file holds them once.
    `volume`: its state is in a volume of its own, which has the group's name.
    `project`: the project's volume is mounted.
    `addresses`: its programs run verbs or tasks, and get the address of every part.
    `of_browser`: variables that follow from the port at which a browser finds the published part.
    `fresh_s`: for how many seconds a success of a part's health check counts.
    """

    published: tuple[str, int] | None = None
    one_block: bool = False
    volume: bool = False
    project: bool = True
    addresses: bool = False
    shared_memory: str = ""
    stop_signal: str = ""
    of_browser: Callable[[str], Mapping[str, str]] = lambda _port: {}
    fresh_s: Callable[[str], float] = lambda _part: FRESH_S


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A password, key or token. It is made once for a state folder, and once for the containers.

    `name`: its key in `Topology.secrets`.
    `variable`: its name in `.env` and docker-compose.yml.
    `make`: returns a new one.
    `file`: clients read the secret from this file in the folder of the stack's own records; `text` formats it. A secret
    with a file is not in `Topology.secrets`.
    """

    name: str
    variable: str
    make: Callable[[], str]
    file: str = ""
    text: Callable[[str], str] = str


@dataclasses.dataclass(frozen=True, slots=True)
class Technology:
    """One group of parts. Everything is a function of the topology (before the start) or of the settings (after it).

    `group`: the name that `koboshi up` takes.
    `parts`: its programs on a topology; the second argument names the groups that are started together.
    `after`: the groups that its programs need; they come first in the table.
    `by_default`: `koboshi up` starts it when no part is named.
    `by_topology`: whether a topology needs it; then it cannot be started by name. None: it is started by name.
    `address`: the address of a server elsewhere, from koboshi.toml or the environment; if there is one, nothing is
    started.
    `section`: the model of its section of settings, if `koboshi.settings` does not have it already.
    `endpoints`: the values of that section while its parts run.
    `jars`, `folders`, `files`: what is fetched, made and written in the state folder before the start.
    `secrets`: the secrets of its programs and their clients.
    `probe`: real work of the whole group; no parts are passed when it runs elsewhere. None: each part has its own.
    `probe_of`: real work of one part. None: that of the group.
    `login`: the address for a browser (`what`, `url`), and user, password or token; not shown without an address.
    `foreign`: prefixes of environment variables that would configure its programs; no part inherits such a variable.
    `nicknames`: further names of a part for `koboshi kill`.
    `inner`: names for `koboshi kill` of a process inside a part; returns the process id and what the process does.
    """

    group: str
    parts: "Callable[[Topology, frozenset[str]], tuple[Part, ...]]"
    after: tuple[str, ...] = ()
    by_default: bool = True
    by_topology: "Callable[[Topology], bool] | None" = None
    address: "Callable[[Settings], str | None]" = lambda _settings: None
    section: "type[BaseModel] | None" = None
    endpoints: "Callable[[Topology], Mapping[str, str]] | None" = None
    jars: "Jars | None" = None
    files: "Callable[[Topology], None]" = _nothing
    folders: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    probe: "Callable[[Settings, tuple[Part, ...]], Health] | None" = None
    probe_of: "Callable[[Settings, Part], Health] | None" = None
    login: "Callable[[Settings], dict[str, str | None]]" = lambda _settings: {}
    foreign: tuple[str, ...] = ()
    nicknames: Mapping[str, str] = dataclasses.field(default_factory=dict)
    inner: "Mapping[str, Callable[[Settings], tuple[int, str]]]" = dataclasses.field(default_factory=dict)
    container: Container = Container()

    @property
    def section_name(self) -> str:
        """The name of its section in settings."""
        return self.group.replace("-", "_")


@functools.cache
def technologies() -> Mapping[str, Technology]:
    """Every technology by its group, each after those that it needs; side by side by their names."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    described: dict[str, Technology] = {
        module.TECHNOLOGY.group: module.TECHNOLOGY for module in modules if hasattr(module, "TECHNOLOGY")
    }

    def order(group: str) -> tuple[int, bool, str]:
        return _depth(group, described), described[group].by_topology is None, group

    return {group: described[group] for group in sorted(described, key=order)}


def _depth(group: str, described: Mapping[str, Technology]) -> int:
    return max((1 + _depth(other, described) for other in described[group].after), default=0)


def sections() -> "dict[str, type[BaseModel]]":
    """The sections of settings that parts declare, by name: for `koboshi.settings`, which knows no part."""
    return {found.section_name: found.section for found in technologies().values() if found.section}


def secrets() -> list[Secret]:
    """Those of every technology, by the names of their variables."""
    found = (secret for technology in technologies().values() for secret in technology.secrets)
    return sorted(found, key=lambda secret: secret.variable)


def variables() -> list[str]:
    """The variables that are Compose's and no settings, for `koboshi.settings`: published ports, and secrets."""
    ports = [port_variable(found.group) for found in technologies().values() if found.container.published]
    return [*ports, *(secret.variable for secret in secrets())]


def port_variable(group: str) -> str:
    """The variable that moves the port under which Compose publishes a part."""
    return f"KOBOSHI_{technologies()[group].section_name.upper()}_PORT"
