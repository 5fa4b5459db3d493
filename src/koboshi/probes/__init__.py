"""Health of each remote part, by real work: a record read, a run written, a prediction made."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """What a probe answers: whether real work was done, and in one phrase which (or why not).

    `at`: when the probe began, in seconds since 1970, where this is the answer of an earlier one; None: it is of now.
    """

    ok: bool
    detail: str
    at: float | None = None
