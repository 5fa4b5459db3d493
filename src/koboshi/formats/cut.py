"""The cut: for each partition, from where to where the datasets reach, and the content digest of what lies between.

`cut.json` is the lock file of the stream. It lives in git, moves forward only, and holds nothing that differs between
two clones that landed the same records: no topic ids, no span borders, no times.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from koboshi.errors import BadInput
from koboshi.files import publish_bytes

FILE = "cut.json"
FORMAT_VERSION = 1
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartitionCut(_Strict):
    """Offsets [start, end) and the content digest of their records."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    content: Hex64


class Cut(_Strict):
    """What the datasets are made of."""

    format: Literal[1] = 1
    topics: dict[str, dict[int, PartitionCut]]


def read(path: Path) -> Cut | None:
    """The cut in a file, or None where there is none yet; `BadInput` when it is none, or one of a newer format."""
    if not path.exists():
        return None
    try:
        return Cut.model_validate_json(path.read_bytes())
    except ValidationError as error:
        if newer := [problem["input"] for problem in error.errors() if _is_newer(problem)]:
            raise BadInput(
                f"{path} has format {newer[0]}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi."
            ) from error
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the text"
        raise BadInput(f"{path} is no cut of format 1 ({where}: {first['msg']}): take it from git again.") from error


def _is_newer(problem: Mapping[str, Any]) -> bool:
    return problem["loc"] == ("format",) and isinstance(problem["input"], int) and problem["input"] > FORMAT_VERSION


def write(path: Path, cut: Cut) -> None:
    """Publish the cut: whole or not at all, and the same bytes for the same cut."""
    publish_bytes(path, json.dumps(cut.model_dump(mode="json"), indent=2, sort_keys=True).encode() + b"\n")
