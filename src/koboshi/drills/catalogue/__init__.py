"""All drills, by name: each module in this folder is one, and a new one is found by itself."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from koboshi.drills.drill import Drill
from koboshi.errors import BadInput


@cache
def all_drills() -> Mapping[str, Drill[Any]]:
    """Every module's `DRILL`, in the order of the modules' names."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {module.DRILL.name: module.DRILL for module in modules}


def named(name: str) -> Sequence[Drill[Any]]:
    """The drill of this name, or all whose names begin with its words: `network-cut` is three drills."""
    drills = all_drills()
    found = [drill for known, drill in drills.items() if known == name or known.startswith(f"{name}-")]
    if not found:
        raise BadInput(f"there is no drill {name}: `koboshi drill list` names {', '.join(drills)}.")
    return found
