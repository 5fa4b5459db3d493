"""Which columns a table needs, and where they stand in a file: by name or alias, in any letter case.

CARDS = [
    Column("id", Number(), unique=True),
    Column("paid_at", Timestamp(), aliases=("PAID", "payment time")),
    Column("amount", Number(places=2, smallest=0)),
    Column("is_fraud", Label()),
]
"""

import dataclasses
import datetime
import decimal
import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

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


INT64 = (-(2**63), 2**63 - 1)
FIRST_TIME, LAST_TIME = datetime.datetime.min, datetime.datetime.max
DIRECTIVES = tuple("YymbBdejaAFDsHIpMSTRz")
A_DAY = re.compile(r"%[FDs]|%[Yy].*%j|%[Yy].*%[mbB].*%[de]|%[de].*%[mbB].*%[Yy]|%[mbB].*%[de].*%[Yy]", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Number:
    """A number, exactly: an integer of the smallest unit, so that 12.34 with two `places` is 1,234.

    `smallest` and `largest` are in that unit. A number with more places is refused, never rounded.
    """

    places: int = 0
    smallest: int = INT64[0]
    largest: int = INT64[1]

    @property
    def expected(self) -> str:
        """What a text has to be."""
        return f"a number such as {self._written(1_234)}" if self.places else "a whole number"

    @property
    def precision(self) -> str:
        """What a number has to be."""
        return f"at most {self.places} decimal places, rounded in the file itself" if self.places else self.expected

    @property
    def bounds(self) -> str:
        """Where a number with so many places has to lie."""
        return f"a number from {self._written(self.smallest)} to {self._written(self.largest)}"

    def _written(self, units: int) -> str:
        return format(decimal.Decimal(units).scaleb(-self.places), ",f")


@dataclasses.dataclass(frozen=True, slots=True)
class Timestamp:
    """A time: in ISO 8601, or in a `form` of strptime's directives; parts finer than `cut_to_us` are cut off.

    A time with an offset becomes UTC, and one without stays as it is: a column has times of one of these two sorts. A
    date alone is its midnight. `hint` is added to what is expected of a text, `because` to the bounds. Raises
    `BadInput` for a form that gives no day, or has a directive that is not supported.
    """

    form: str | None = None
    earliest: datetime.datetime = FIRST_TIME
    latest: datetime.datetime = LAST_TIME
    cut_to_us: int = 1
    hint: str = ""
    because: str = ""

    def __post_init__(self) -> None:
        if self.form is None:
            return
        unknown = [found for found in re.findall(r"%.?", self.form.replace(".%f", "")) if found[1:] not in DIRECTIVES]
        if unknown or not A_DAY.search(self.form):
            known = " ".join(f"%{letter}" for letter in DIRECTIVES)
            problem = f"has {unknown[0]}" if unknown else "gives no year, month and day"
            raise BadInput(
                f"the time form {self.form!r} {problem}: choose from {known} and .%f, as in '%d.%m.%Y %H:%M'."
            )

    @property
    def expected(self) -> str:
        """What a text has to be."""
        return f"a time in the form {self.form}" if self.form else f"a time such as 2018-07-01T12:30:00{self.hint}"

    @property
    def bounds(self) -> str:
        """Where a time has to lie."""
        return f"a time from {self.earliest} to {self.latest}{self.because}"


@dataclasses.dataclass(frozen=True, slots=True)
class Label:
    """True or false: `true`, `false`, 1 or 0, as text in any letter case, as a truth value or as a number."""

    expected: ClassVar[str] = "true, false, 1 or 0"


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A text as it is; a number of a Parquet file as the shortest text that gives the number again."""

    expected: ClassVar[str] = "a text"


Kind = Number | Timestamp | Label | Text


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column that a table needs: name, kind, other names that it may have, and whether each value is there once."""

    name: str
    kind: Kind
    aliases: tuple[str, ...] = ()
    unique: bool = False


def places_of(header: Sequence[str], wanted: Iterable[Column]) -> tuple[dict[str, int], list[Fault]]:
    """For each wanted column its position in the header; and a fault for each that is missing or there twice."""
    candidates = {column: _candidates(header, column) for column in wanted}
    found = {column.name: places[0] for column, places in candidates.items() if len(places) == 1}
    unused = [name for place, name in enumerate(header) if place not in found.values()]
    faults = [
        _twice(header, column, places) if places else _missing(unused, column)
        for column, places in candidates.items()
        if len(places) != 1
    ]
    return found, faults


def _candidates(header: Sequence[str], column: Column) -> list[int]:
    """The columns of exactly this name, else those that have it or an alias in any letter case."""
    exact = [place for place, name in enumerate(header) if name == column.name]
    names = {name.casefold() for name in (column.name, *column.aliases)}
    return exact or [place for place, name in enumerate(header) if name.strip().casefold() in names]


def _twice(header: Sequence[str], column: Column, places: Sequence[int]) -> Fault:
    names = " and ".join(f"{shown(header[place])} (column {place + 1})" for place in places)
    return Fault(column.name, f"{names} are both this column: leave one of them in the file")


def _missing(unused: Sequence[str], column: Column) -> Fault:
    near = _nearest(unused, (column.name, *column.aliases))
    also = "".join(f" or {alias}" for alias in column.aliases)
    asked = f"did you mean {shown(near)}?" if near else f"what else the file has: {_listed(unused)}"
    return Fault(column.name, f"there is no column {column.name}{also}; {asked}")


def _nearest(header: Sequence[str], names: Iterable[str]) -> str | None:
    folded = {name.strip().casefold(): name for name in header}
    near = [match for name in names for match in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)]
    return folded[near[0]] if near else None


def _listed(header: Sequence[str]) -> str:
    names = ", ".join(map(shown, header[:10])) or "nothing"
    return f"{names}, …" if len(header) > 10 else names
