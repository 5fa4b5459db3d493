"""The parts of the stack, one file for each technology, found by going over this folder: a new file is a new part.

A module that describes one has a `TECHNOLOGY`. They import light: what runs their programs is imported when it is used.
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
    from koboshi.stack.site import Site

FRESH_S = 45.0


def _nothing(_site: "Site") -> None:
    """No files are needed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """The form of a technology's programs in docker-compose.yml, where it is not that of any other service.

    `published` is the part that a person opens and the offset of its port. `one_block`: the parts have the same
    variables, which are written once. `volume`: its state is in a volume of its own, called like the group.
    `addresses`: its programs run verbs or tasks, and get the addresses of everything. `of_browser` makes variables from
    the port under which a browser finds the published part. `fresh_s` of a part: so long does a success of its health
    check count.
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
    """What the programs of a technology share: made once for a state folder, and once for the containers.

    `name` is how the site has it, `variable` how Compose has it, `make` makes a new one. With `file`, clients read it
    there, in the folder of the stack's own records and in the form that `text` gives it.
    """

    name: str
    variable: str
    make: Callable[[], str]
    file: str = ""
    text: Callable[[str], str] = str


@dataclasses.dataclass(frozen=True, slots=True)
class Technology:
    """One group of parts. Everything is a function of the site (before the start) or of the settings (after it).

    `group`: the name that `koboshi up` takes.
    `parts`: its programs on a site; the second argument has the groups that are started with it.
    `after`: the groups that come first in the table, because these programs need them.
    `by_default`: started when no part is named.
    `by_site`: True for a site that needs this; then it cannot be chosen by name. None: it is chosen by name.
    `address`: what koboshi.toml or the environment say of a server elsewhere; where there is one, nothing is started.
    `section`, `endpoints`: the section of settings, declared here if `koboshi.settings` has it not, and the values that
    the started parts give it.
    `jars`, `files`, `folders`: what is fetched, written and made in the state folder before the start.
    `secrets`: what its programs and their clients prove themselves with.
    `probe`: real work of the whole group; without parts it runs elsewhere. None: its parts are asked one by one.
    `probe_of`: real work of one part for itself; without it, the group's.
    `login`: what a person opens in a browser (`what`, `url`, and secrets); not shown while the address is empty.
    `foreign`: how variables begin that would set up its programs behind our back: they are kept from all parts.
    `nicknames`, `inner`: further names for `koboshi kill`: of a part, or of a process inside of one (its id and doing).
    """

    group: str
    parts: "Callable[[Site, frozenset[str]], tuple[Part, ...]]"
    after: tuple[str, ...] = ()
    by_default: bool = True
    by_site: "Callable[[Site], bool] | None" = None
    address: "Callable[[Settings], str | None]" = lambda _settings: None
    section: "type[BaseModel] | None" = None
    endpoints: "Callable[[Site], Mapping[str, str]] | None" = None
    jars: "Jars | None" = None
    files: "Callable[[Site], None]" = _nothing
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
        return _depth(group, described), described[group].by_site is None, group

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
