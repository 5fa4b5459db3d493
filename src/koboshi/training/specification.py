"""A specification that a person hands over: checked before anything is submitted."""

from pathlib import Path

from koboshi.errors import BadInput
from koboshi.training.spec import TrainingSpec


def read_specification(path: Path) -> TrainingSpec:
    """The specification in a file. Raises `BadInput` for what is none, or cannot be worked on here.

    The key is the digest of what decides the outcome, so one that was changed by hand must not go on under its key:
    it is compared with what was submitted under it before.
    """
    spec = _read(path)
    if not Path(spec.place.project).is_dir():
        raise BadInput(f"{path} works in {spec.place.project}, which is not on this machine: specify it again here.")
    kept = spec.file
    if kept.exists() and _decides(_read(kept)) != _decides(spec):
        raise BadInput(f"{path} differs from {kept}, which has the same key: take that one, or give yours its own key.")
    return spec


def _read(path: Path) -> TrainingSpec:
    try:
        return TrainingSpec.from_json(path.read_text())
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): name a training's specification.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no specification of a training: it is no UTF-8 text ({error}).") from error
    except BadInput as error:
        raise BadInput(f"{path} is no specification of a training: {error}") from error


def _decides(spec: TrainingSpec) -> object:
    return spec.key, spec.table.manifest_sha256, {name: unit.facts() for name, unit in spec.units.items()}, spec.threads
