"""Hyperparameter candidates: one unit for each point of a grid or of a list."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from koboshi.errors import BadInput
from koboshi.training.spec import UnitSpec


def grid(unit: UnitSpec, axes: Mapping[str, Sequence[Any]]) -> dict[str, UnitSpec]:
    """Every combination of the axes' values, in the axes' order.

    An axis is a parameter of the unit; a dot leads into a block: `{"params.max_depth": [3, 5], "trees_a_step": [10]}`.
    A unit's name says its values: `max_depth=3,trees_a_step=10`.
    """
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    named = {_name(point): point for point in points}
    if len(named) < len(points):
        raise BadInput(f"two candidates would have one name, such as {next(iter(named))}: use `variants` to name them.")
    return variants(unit, named)


def variants(unit: UnitSpec, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, UnitSpec]:
    """The unit with some parameters changed, once under each name; `{}` is the unit as it is."""
    if not changes:
        raise BadInput("a search over no candidates finds none: give each axis at least one value.")
    return {name: UnitSpec(unit.factory, _changed(unit.params, change), unit.steps) for name, change in changes.items()}


def _changed(params: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(params))  # a deep copy, and a check that they are JSON values
    for path, value in change.items():
        *blocks, last = path.split(".")
        inner = changed
        for block in blocks:
            inner = inner.setdefault(block, {})
            if not isinstance(inner, dict):
                raise BadInput(f"{path} leads into {block}, which is a value and no block.")
        inner[last] = value
    return changed


def _name(point: Mapping[str, Any]) -> str:
    """Fit for a folder's name."""
    named = (f"{path.rpartition('.')[2]}={value}" for path, value in point.items())
    return ",".join(named).replace("/", "_").replace(" ", "")
