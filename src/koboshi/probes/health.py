"""What a probe answers."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """Whether real work was done, and in one phrase which (or why not)."""

    ok: bool
    detail: str
