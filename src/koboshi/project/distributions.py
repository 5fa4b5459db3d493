"""Which installed distributions stand behind imported modules, and their versions: part of what decides an outcome."""

import functools
import sys
from collections.abc import Mapping, Set
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OWN = "koboshi"


def versions_of(modules: Set[str]) -> dict[str, str]:
    """The version of each distribution behind these top-level modules and of all that those need, extras aside.

    Python counts by major and minor version, koboshi always. A module that nothing installed stands behind is left out.
    """
    names = [OWN, *(name for module in modules - sys.stdlib_module_names for name in _behind().get(module, ()))]
    found: dict[str, str] = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    while names:
        name = canonicalize_name(names.pop())
        if name in found or (one := _installed(name)) is None:
            continue
        found[name] = one.version
        if name != OWN:  # whose requirements are those of all its rooms
            names += [need.name for need in map(Requirement, one.requires or ()) if _applies(need)]
    return found


@functools.cache
def _behind() -> Mapping[str, list[str]]:
    return packages_distributions()


@functools.cache
def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _applies(need: Requirement) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": ""})
