"""The table of parts: every program of a topology. The single source, also of docker-compose.yml."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from koboshi.errors import BadInput
from koboshi.settings import Settings
from koboshi.stack.part import Part
from koboshi.stack.parts import Technology, technologies
from koboshi.stack.topology import Topology


def groups() -> tuple[str, ...]:
    """Every group that can be started by its name, in the order of the table."""
    return tuple(group for group, found in technologies().items() if found.by_topology is None)


def usual_groups() -> tuple[str, ...]:
    """Those that are started when none is named."""
    return tuple(group for group in groups() if technologies()[group].by_default)


def external_groups(settings: Settings) -> frozenset[str]:
    """The groups whose address is set in koboshi.toml or the environment."""
    return frozenset(group for group in groups() if technologies()[group].address(settings))


def chosen_groups(names: Iterable[str], settings: Settings) -> tuple[str, ...]:
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


def parts_of(topology: Topology, chosen: Iterable[str]) -> dict[str, Part]:
    """The programs of some groups, by name, in the order in which they are shown. Pure.

    A topology with a database server has that first, as a part of its own.
    """
    names = frozenset(chosen)
    made = (part for found in _on(topology, names) for part in found.parts(topology, names))
    return {part.name: _with_own_environment(topology, part) for part in made}


def _on(topology: Topology, names: frozenset[str]) -> list[Technology]:
    """The technologies that a topology has: those that are named, and those that the topology itself needs."""
    return [t for t in technologies().values() if (t.by_topology(topology) if t.by_topology else t.group in names)]


def _with_own_environment(topology: Topology, part: Part) -> Part:
    own = {"KOBOSHI_PROJECT": str(topology.paths.project), "KOBOSHI_STATE_DIR": str(topology.paths.state_dir)}
    return dataclasses.replace(part, environment={**part.environment, **own})


def endpoints(topology: Topology, chosen: Iterable[str]) -> dict[str, Any]:
    """The addresses of the started groups, in the shape of `koboshi.settings`."""
    return {t.section_name: dict(t.endpoints(topology)) for t in _on(topology, frozenset(chosen)) if t.endpoints}


def write_files(topology: Topology, chosen: Iterable[str]) -> None:
    """The files and folders that the programs of some groups read when they start."""
    names = frozenset(chosen)
    folders = ("cache", *(folder for group in names.union(usual_groups()) for folder in technologies()[group].folders))
    for folder in folders:
        (topology.paths.state_dir / folder).mkdir(parents=True, exist_ok=True)
    for found in _on(topology, names):
        found.files(topology)
