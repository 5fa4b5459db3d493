"""All drills, by name: each module with a `DRILL` in the folder of a layer is one, and a new one is found by itself.

So are those of a project, in its folder drills/ or in the modules that `drills.modules` names, and those of installed
packages, in the entry-point group `koboshi.drills`.
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from koboshi import drills
from koboshi.drills.drill import LAYERS, Drill
from koboshi.errors import BadInput, NotConfigured
from koboshi.settings import Settings

FOLDERS = ("ingest", "datasets", "training", "orchestration", "tracking", "serving")
OF_PROJECT, GROUP = "drills", "koboshi.drills"


def all_drills(settings: Settings | None = None) -> Mapping[str, Drill[Any]]:
    """Every drill, along the way of the data by layer, and within a layer by name; those of the settings' project, too.

    Raises `NotConfigured` for a module of drills that cannot be imported, has no `DRILL`, or repeats a drill's name.
    """
    found = [*own_drills(), *(map(_loaded, _modules(settings)) if settings else ())]
    by_name = {drill.name: drill for drill in sorted(found, key=lambda drill: (LAYERS.index(drill.layer), drill.name))}
    if len(by_name) < len(found):
        twice = sorted(name for name in by_name if sum(drill.name == name for drill in found) > 1)
        raise NotConfigured(f"there are two drills named {', '.join(twice)}: give the project's own another name.")
    return by_name


@cache
def own_drills() -> tuple[Drill[Any], ...]:
    """Koboshi's own."""
    return tuple(_found())


def _found() -> Iterator[Drill[Any]]:
    for folder in FOLDERS:
        package = importlib.import_module(f"{drills.__name__}.{folder}")
        for found in pkgutil.iter_modules(package.__path__):
            if drill := getattr(importlib.import_module(f"{package.__name__}.{found.name}"), "DRILL", None):
                yield drill


def _modules(settings: Settings) -> tuple[str, ...]:
    if str(settings.project) not in sys.path:
        sys.path.insert(0, str(settings.project))
    files = sorted((settings.project / OF_PROJECT).glob("*.py"))
    named = settings.drills.modules or tuple(f"{OF_PROJECT}.{path.stem}" for path in files if path.stem != "__init__")
    return (*named, *(point.value for point in entry_points(group=GROUP)))


def control_of(drill: Drill[Any], settings: Settings) -> Drill[Any]:
    """The negative control of a project's drill, `CONTROL` in its module; raises `NotConfigured` without one."""
    for module in _modules(settings):
        if _loaded(module).name == drill.name and hasattr(sys.modules[module], "CONTROL"):
            return _loaded(module, "CONTROL")
    raise NotConfigured(f"{drill.name} has no CONTROL in its module: write one, its guard taken away by composition.")


def _loaded(module: str, name: str = "DRILL") -> Drill[Any]:
    try:
        drill = getattr(importlib.import_module(module), name)
    except Exception as error:  # a module of a person's may raise anything
        raise NotConfigured(f"the drill in {module} cannot be loaded ({type(error).__name__}: {error}).") from error
    if not isinstance(drill, Drill):
        raise NotConfigured(f"{name} in {module} is no koboshi.drills.Drill: mend it.")
    return drill


def named(name: str, settings: Settings | None = None) -> Sequence[Drill[Any]]:
    """The drill of this name, or all whose names begin with its words: `network-cut` is three drills."""
    drills = all_drills(settings)
    found = [drill for known, drill in drills.items() if known == name or known.startswith(f"{name}-")]
    if not found:
        raise BadInput(f"there is no drill {name}: `koboshi drill list` names {', '.join(drills)}.")
    return found
