"""The pipeline's numbers: one block of params.yaml for each stage, read into a frozen model of the stage's own."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from koboshi.documents import load_mapping
from koboshi.errors import BadInput
from koboshi.wrong_fields import Fields, Source, faults, in_one_sentence, unknown

FILE = "params.yaml"


class Params(Fields):
    """What a stage derives its block from: frozen, and an unknown key is an error rather than a number ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ParamsT = TypeVar("ParamsT", bound=BaseModel)


def load_block(project: Path, block: str) -> dict[str, Any]:
    """One block of `project`/params.yaml as it is. Raises `BadInput` where there is none."""
    if not isinstance(found := _blocks_with(project, block)[block], dict):
        raise BadInput(f"{block} in {project / FILE} is {found!r}; a table of names and values is wanted.")
    return found


def load_params(project: Path, block: str, model: type[ParamsT]) -> ParamsT:
    """One block, checked. Raises `BadInput` with one sentence that names each key at fault."""
    blocks = _blocks_with(project, block)
    try:
        return model.model_validate(blocks[block])
    except ValidationError as error:
        wrong = faults(model, error.errors(), [Source(FILE, blocks)], (block,), "parameter")
        raise BadInput(in_one_sentence(wrong)) from error


def _blocks_with(project: Path, block: str) -> dict[str, Any]:
    blocks = load_mapping(project / FILE)
    if block not in blocks:
        raise BadInput(_absent(project / FILE, block, blocks))
    return blocks


def _absent(path: Path, block: str, blocks: Mapping[Any, Any]) -> str:
    if not path.is_file():
        return f"{path} cannot be read (there is no such file): take it from git again."
    if near := difflib.get_close_matches(block, map(str, blocks), 1):
        return in_one_sentence([unknown(near[0], FILE, [block], "block")])
    return f"{path} has no block {block}: add it."
