"""Who takes one room takes one extra: each room imports with the packages of its own extra and no others."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata

import pytest
from packaging.requirements import Requirement

ROOMS = {
    "heartbeat": (),
    "ledger": (),
    "events": (),
    "journal": (),
    "sinks": (),
    "files": (),
    "formats": ("datasets",),
    "settings": (),
    "cli": (),
    "ingest": ("kafka", "audit"),
    "datasets": ("datasets",),
    "training": ("ray", "sklearn", "storage"),
    "registry": ("registry",),
    "serving": ("serving",),
    "gateways": ("gateways",),
    "scoring": ("datasets", "ray", "registry", "serving"),
    "orchestration": ("airflow",),
    "stack": ("stack", "kafka", "ray", "airflow"),  # it starts their programs
    "backup": ("datasets", "stack"),
    "probes": ("kafka", "ray"),
}

VENDORED = {"colorama", "psutil", "setproctitle"}  # Ray brings copies of its own

IMPORT_ALL = """
import importlib, pkgutil, sys

forbidden = set(sys.argv[2].split(","))

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in forbidden:
            raise ModuleNotFoundError(f"{name} is not in this room's extra")

sys.meta_path.insert(0, Refuse())
room = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(getattr(room, "__path__", []), room.__name__ + "."):
    importlib.import_module(module.name)
"""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _closure(extras: tuple[str, ...]) -> set[str]:
    """The distributions that `pip install koboshi[extras]` would bring."""
    found: set[tuple[str, str]] = set()
    todo = [("koboshi", extra) for extra in ("", *extras)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, requirements):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                todo += [(_normal(requirement.name), wanted) for wanted in ("", *requirement.extras)]
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def distributions() -> Mapping[str, list[str]]:
    """By module, what is installed."""
    return metadata.packages_distributions()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_with_its_own_extra_only(room: str, distributions: Mapping[str, list[str]]) -> None:
    allowed = _closure(ROOMS[room])
    forbidden = [
        module
        for module, brought_by in distributions.items()
        if module.isidentifier() and module not in VENDORED and not {_normal(d) for d in brought_by} & allowed
    ]
    assert {"airflow", "ray", "mlflow"} & set(forbidden), "the guard would let everything through"
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, f"koboshi.{room}", ",".join(forbidden)],
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
