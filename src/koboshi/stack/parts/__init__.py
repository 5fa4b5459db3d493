"""The parts of the stack, one file for each technology, found by going over this folder: a new file is a new part.

The table of all parts of a topology is made here: the single source, also of docker-compose.yml.

A module that describes a technology has a constant `TECHNOLOGY`. Every verb imports these modules, so they import
little: a client library is imported in the function that uses it.
"""

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from koboshi.errors import BadInput

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
    `look`: a cheaper question to the whole group than `probe`, for in between. None: the probe is cheap.
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
    look: "Callable[[Settings, tuple[Part, ...]], Health] | None" = None
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


def groups() -> tuple[str, ...]:
    """Every group that can be started by its name, in the order of the table."""
    return tuple(group for group, found in technologies().items() if found.by_topology is None)


def usual_groups() -> tuple[str, ...]:
    """Those that are started when none is named."""
    return tuple(group for group in groups() if technologies()[group].by_default)


def external_groups(settings: "Settings") -> frozenset[str]:
    """The groups whose address is set in koboshi.toml or the environment."""
    return frozenset(group for group in groups() if technologies()[group].address(settings))


def chosen_groups(names: Iterable[str], settings: "Settings") -> tuple[str, ...]:
    """The groups to start: those named, or the usual ones, without those that run elsewhere."""
    wanted, external = _known(names) or usual_groups(), external_groups(settings)
    return tuple(group for group in groups() if group in wanted and group not in external)


def usual_groups_with(names: Iterable[str]) -> tuple[str, ...]:
    """The usual groups, and those named."""
    wanted = {*usual_groups(), *_known(names)}
    return tuple(group for group in groups() if group in wanted)


def _known(names: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(names)
    if unknown := sorted(set(wanted).difference(groups())):
        raise BadInput(f"there is no part {', '.join(unknown)}: choose from {', '.join(groups())}.")
    return wanted


def parts_of(topology: "Topology", chosen: Iterable[str]) -> "dict[str, Part]":
    """The programs of some groups, by name, in the order in which they are shown. Pure.

    A topology with a database server has that first, as a part of its own.
    """
    names = frozenset(chosen)
    own = {"KOBOSHI_PROJECT": str(topology.paths.project), "KOBOSHI_STATE_DIR": str(topology.paths.state_dir)}
    made = (part for found in _on(topology, names) for part in found.parts(topology, names))
    return {part.name: dataclasses.replace(part, environment={**part.environment, **own}) for part in made}


def _on(topology: "Topology", names: frozenset[str]) -> list[Technology]:
    """The technologies that a topology has: those that are named, and those that the topology itself needs."""
    return [t for t in technologies().values() if (t.by_topology(topology) if t.by_topology else t.group in names)]


def endpoints(topology: "Topology", chosen: Iterable[str]) -> dict[str, Any]:
    """The addresses of the started groups, in the shape of `koboshi.settings`."""
    return {t.section_name: dict(t.endpoints(topology)) for t in _on(topology, frozenset(chosen)) if t.endpoints}


def write_files(topology: "Topology", chosen: Iterable[str]) -> None:
    """The files and folders that the programs of some groups read when they start."""
    names = frozenset(chosen)
    folders = ("cache", *(folder for group in names.union(usual_groups()) for folder in technologies()[group].folders))
    for folder in folders:
        (topology.paths.state_dir / folder).mkdir(parents=True, exist_ok=True)
    for found in _on(topology, names):
        found.files(topology)
