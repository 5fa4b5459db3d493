"""The pipeline's numbers: one block of params.yaml for each stage, read into a frozen model of the stage's own."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from koboshi.errors import BadInput
from koboshi.yaml_text import load_mapping

FILE = "params.yaml"


class Params(BaseModel):
    """What a stage derives its block from: frozen, and an unknown key is an error rather than a number ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ParamsT = TypeVar("ParamsT", bound=BaseModel)


def load_params(project: Path, block: str, model: type[ParamsT]) -> ParamsT:
    """Read one block of `project`/params.yaml. Raises `BadInput` with one sentence that names the key."""
    path = project / FILE
    try:
        return model.model_validate(_block(path, block))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join((block, *(str(part) for part in first["loc"])))
        raise BadInput(f"{key} in {path}: {first['msg']}.") from error


def _block(path: Path, block: str) -> Any:
    if not path.exists():
        raise BadInput(f"{path} cannot be read (it is not there): take it from git again.")
    blocks = load_mapping(path)
    if block not in blocks:
        raise BadInput(f"{path} has no block {block}: add it.")
    return blocks[block]
