"""All drills, by name: each module with a `DRILL` in the folder of a layer is one, and a new one is found by itself."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from koboshi import drills
from koboshi.drills.drill import LAYERS, Drill
from koboshi.errors import BadInput

FOLDERS = ("ingest", "datasets", "training", "orchestration", "tracking", "serving")


@cache
def all_drills() -> Mapping[str, Drill[Any]]:
    """Every drill, along the way of the data by layer, and within a layer by name."""
    found = sorted(_found(), key=lambda drill: (LAYERS.index(drill.layer), drill.name))
    return {drill.name: drill for drill in found}


def _found() -> Iterator[Drill[Any]]:
    for folder in FOLDERS:
        package = importlib.import_module(f"{drills.__name__}.{folder}")
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            if drill := getattr(module, "DRILL", None):
                yield drill


def named(name: str) -> Sequence[Drill[Any]]:
    """The drill of this name, or all whose names begin with its words: `network-cut` is three drills."""
    drills = all_drills()
    found = [drill for known, drill in drills.items() if known == name or known.startswith(f"{name}-")]
    if not found:
        raise BadInput(f"there is no drill {name}: `koboshi drill list` names {', '.join(drills)}.")
    return found
