"""All drills, by name."""

from collections.abc import Mapping
from typing import Any

from koboshi.drills import ray_worker_killed
from koboshi.drills.drill import Drill
from koboshi.errors import BadInput

DRILLS: Mapping[str, Drill[Any]] = {drill.name: drill for drill in (ray_worker_killed.DRILL,)}


def named(name: str) -> Drill[Any]:
    """A drill of the catalogue."""
    if name not in DRILLS:
        raise BadInput(f"there is no drill {name}: `koboshi drill list` names {', '.join(DRILLS)}.")
    return DRILLS[name]
