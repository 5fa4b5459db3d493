"""What does not fit in a file of a person's: every kind of fault at once, each with its count and its first places."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from koboshi.errors import BadInput

SHOWN = 3
LONGEST = 60


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault: so many values of a column are not as expected; `first` are the first of them, by place."""

    column: str
    expected: str
    count: int = 0
    first: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if not self.first:
            return f"{self.column}: {self.expected}"
        values = "1 value" if self.count == 1 else f"{self.count:,} values"
        places = ", ".join(f"{place} {value}" for place, value in self.first)
        more = ", …" if self.count > len(self.first) else ""
        return f"{self.column}: {values} refused, expected {self.expected}: {places}{more}"


def refusal(path: Path, faults: Sequence[Fault]) -> BadInput:
    """All faults as one error: a sentence, then a line for each kind."""
    return BadInput(
        "\n  ".join([f"{path} is refused; mend the file, then run the same command again:", *map(str, faults)])
    )


def shown(value: object) -> str:
    """A value as a person finds it in the file: on one line, and not too long."""
    if value is None or value == "":
        return "(empty)"
    text = repr(value) if isinstance(value, str | bytes) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
