"""Whether what the registry shows is loaded: a decision on small values, taken once for each look at the alias."""

import dataclasses

from koboshi.refs import ModelRef


@dataclasses.dataclass(frozen=True, slots=True)
class Aliased:
    """The version that a slot's alias points at, and where its artefact lies."""

    ref: ModelRef
    source: str


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """A version that was not taken, why, and from when on (monotonic seconds) another try is worth it."""

    ref: ModelRef
    reason: str
    retry_at: float


def wants_loading(serving: ModelRef | None, refusal: Refusal | None, seen: Aliased, now: float) -> bool:
    """Load what is new. A refused version is left alone until its time, or until its digest is another one."""
    if seen.ref == serving:
        return False
    return refusal is None or refusal.ref != seen.ref or now >= refusal.retry_at
