"""What a part of the stack is: a program with its environment, what it waits for, and where it answers."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A command that is run to its end before the program, once: not again while `done` exists."""

    argv: tuple[str, ...]
    done: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One program. A pure function of the settings makes it; the launcher runs it; the supervisor restarts it.

    `after_ports` must accept connections and `after_files` must exist before it starts.
    """

    name: str
    group: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    ports: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()
    after_ports: tuple[int, ...] = ()
    after_files: tuple[Path, ...] = ()
    address: str = ""


def to_json(part: Part) -> dict[str, Any]:
    """A part as plain values, for the launcher's table."""
    return {
        **{field.name: getattr(part, field.name) for field in dataclasses.fields(part)},
        "environment": dict(part.environment),
        "folder": str(part.folder),
        "log": str(part.log),
        "steps": [{"argv": step.argv, "done": str(step.done)} for step in part.steps],
        "after_files": [str(path) for path in part.after_files],
    }


def from_json(values: Mapping[str, Any]) -> Part:
    """The inverse of `to_json`."""
    return Part(
        **{
            **values,
            "argv": tuple(values["argv"]),
            "folder": Path(values["folder"]),
            "log": Path(values["log"]),
            "ports": tuple(values["ports"]),
            "steps": tuple(Step(tuple(step["argv"]), Path(step["done"])) for step in values["steps"]),
            "after_ports": tuple(values["after_ports"]),
            "after_files": tuple(Path(path) for path in values["after_files"]),
        }
    )
