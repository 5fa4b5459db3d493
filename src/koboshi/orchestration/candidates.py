"""Which candidates a promotion is about, and which of them may be promoted. Pure."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from koboshi.orchestration.workspaces import PROJECT

PROMOTE_BOX = "promote_experiment"


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A workspace with a candidate; `promotes` says whether it may become champion."""

    workspace: str
    promotes: bool


def announced(workspace: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the event of a trained candidate says: its workspace, and the box of the form that started the training."""
    return {"workspace": workspace, PROMOTE_BOX: params.get(PROMOTE_BOX) is True}


def numbers_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The form without the box: what makes an experiment."""
    return {name: value for name, value in params.items() if name != PROMOTE_BOX}


def candidates(told: Iterable[Mapping[str, Any]]) -> list[Candidate]:
    """The candidates of these events, or of a form, in their order; of one workspace the last box counts.

    The committed pipeline's candidate may be promoted, an experiment's only where the box is on. An event without a box
    is one of an older koboshi, whose forms had none.
    """
    boxes = {extra["workspace"]: extra.get(PROMOTE_BOX) is True for extra in told}
    return [Candidate(workspace, box or workspace == PROJECT) for workspace, box in boxes.items()]
