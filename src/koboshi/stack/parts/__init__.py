"""The parts of the stack, one file for each technology, found by going over this folder: a new file is a new part.

A module that describes one has a `TECHNOLOGY`. They import light: what runs their programs is imported when it is used.
"""

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

    from koboshi.stack.technology import Technology


@functools.cache
def technologies() -> "Mapping[str, Technology]":
    """Every technology by its group, each after those that it needs; side by side by their names."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    described: dict[str, Technology] = {
        module.TECHNOLOGY.group: module.TECHNOLOGY for module in modules if hasattr(module, "TECHNOLOGY")
    }

    def order(group: str) -> tuple[int, bool, str]:
        return _depth(group, described), described[group].by_site is None, group

    return {group: described[group] for group in sorted(described, key=order)}


def _depth(group: str, described: "Mapping[str, Technology]") -> int:
    return max((1 + _depth(other, described) for other in described[group].after), default=0)


def sections() -> "dict[str, type[BaseModel]]":
    """The sections of settings that parts declare, by name: for `koboshi.settings`, which knows no part."""
    return dict(found.section for found in technologies().values() if found.section)


def published() -> Iterable[str]:
    """The groups of which docker-compose.yml publishes a port, for `koboshi.environment`."""
    return [found.group for found in technologies().values() if found.container.published]
