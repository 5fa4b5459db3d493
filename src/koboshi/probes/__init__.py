"""Health of each remote part, by real work: a record read, a run written, a prediction made."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """What a probe answers: whether real work was done, and in one phrase which (or why not)."""

    ok: bool
    detail: str
