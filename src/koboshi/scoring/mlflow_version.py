"""Which version is asked for: a number, or what a slot points at now."""

from pathlib import Path

from koboshi.errors import BadInput
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.scoring.model_version import Version


def find_version(registry: MlflowRegistry, number: int | None, slot: str, cache: Path) -> Version:
    """Version `number`, or without one the version that the slot points at now.

    Raises `BadInput` when there is none, or when no digest was recorded for it: then nobody can tell its bytes.
    """
    wanted = registry.aliased(slot) if number is None else number
    if wanted is None:
        raise BadInput(f"slot {slot} of model {registry.name} points at no version: promote one, or give a version.")
    ref = registry.version(wanted)
    if ref is None:
        known = ", ".join(str(found.version) for found in sorted(registry.versions(), key=lambda ref: ref.version))
        raise BadInput(f"model {registry.name} has no version {wanted}: MLflow knows {known or 'none of it'}.")
    if not ref.sha256:
        raise BadInput(f"{ref.name} version {ref.version} has no recorded digest: register it with koboshi.")
    return Version(ref, registry.source(ref), registry.tracking_uri, cache)
