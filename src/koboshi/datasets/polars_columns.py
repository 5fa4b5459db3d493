"""Judges a column: which of its values are what was declared, and what is expected of those that are not.

Whole columns are judged at once. No value is rounded, guessed or cut to fit, none passes through a floating-point
number; only what a time has finer than wanted is cut off, as its declaration says. Times are microseconds since 1970 in
UTC, from texts in ISO 8601 or another form, and from ticks.
"""

import dataclasses
import datetime
import decimal
from collections.abc import Sequence

import polars as pl

from koboshi.datasets.table_columns import FIRST_TIME, INT64, LAST_TIME, Kind, Label, Number, Text, Timestamp
from koboshi.errors import BadInput

PLAIN = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
WITH_EXPONENT = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]{1,6}$"
MOST_DIGITS = 40  # a number with more of them before the point does not fit 64 bits

Checks = list[tuple[pl.Series, str]]
"""Which values are wrong, and what is expected of them; a later check is of values that all earlier ones accept."""


def numbers_of(text: pl.Series, kind: Number) -> tuple[pl.Series, Checks]:
    """Integers of the smallest unit, and which texts are no such number. Integers may come as such."""
    whole = text.cast(pl.Int64, strict=False)
    if not kind.places and (text.dtype == pl.Int64 or not whole.has_nulls()):
        return whole, [_outside_of_numbers(whole, kind)]
    plain = _without_exponents(text)
    parts = plain.str.split_exact(".", 1).struct.unnest()
    fraction = parts["field_1"].fill_null("").str.strip_chars_end("0")
    digits = parts["field_0"] + fraction.str.pad_end(kind.places, "0")
    values = digits.cast(pl.Int64, strict=False)
    return values, [
        (~plain.str.contains(PLAIN), kind.expected),
        (fraction.str.len_chars() > kind.places, kind.precision),
        _outside_of_numbers(values, kind),
    ]


def labels_of(text: pl.Series, kind: Label) -> tuple[pl.Series, Checks]:
    """Truth values, and which texts are none."""
    lower = text.str.to_lowercase()
    word = lower.is_in(["true", "false"])
    if word.all():
        return lower == "true", []
    number = _in_turn(*numbers_of(lower, Number(smallest=0, largest=1))).values
    return (lower == "true") | (~word & (number == 1)), [(~word & number.is_null(), kind.expected)]


def _outside_of_numbers(values: pl.Series, kind: Number) -> tuple[pl.Series, str]:
    return ~values.is_between(kind.smallest, kind.largest), kind.bounds


def _without_exponents(text: pl.Series) -> pl.Series:
    """1.2e3 as 1200: programs write large and small numbers so."""
    short = text.filter(text.str.contains(WITH_EXPONENT).fill_null(False)).unique()
    if short.is_empty():
        return text
    return text.replace(short, pl.Series([_plain(number) for number in short], dtype=pl.String))


def _plain(text: str) -> str:
    number = decimal.Decimal(text)
    if number and abs(number.adjusted()) > MOST_DIGITS:
        number = decimal.Decimal((0, (1,), MOST_DIGITS if number.adjusted() > 0 else -MOST_DIGITS))
    return format(number, "f")


ISO = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$"
)
ZONE = r"([Zz]|[+-][0-9:]+)$"
TIME_AND_ZONE = r"(:[0-9.,]+)(?:[Zz]|[+-][0-9:]+)$"
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
TICK_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "d": 1_000 * DAY_US}
EPOCH = datetime.datetime(1970, 1, 1)
EXISTING = "a day and a time of day that exist"
AN_OFFSET = "an offset such as Z or +02:00, as other values of this column have"


def times_of_text(text: pl.Series, kind: Timestamp) -> tuple[pl.Series, Checks]:
    """Times in the kind's form, or else in ISO 8601, and which texts are no such time."""
    if kind.form is not None:
        times = _in_form(text, kind.form)
        return _cut(times, kind), [(times.is_null(), kind.expected), _outside_of_times(times, kind)]
    no_time = (~text.str.contains(ISO), kind.expected)
    zone = text.str.slice(16).str.extract(ZONE)
    times = _local_us(text.str.replace(TIME_AND_ZONE, "$1")) - _offset_us(zone)
    checks = [] if zone.is_null().all() else [(zone.is_null(), AN_OFFSET)]
    return _cut(times, kind), [no_time, (times.is_null(), EXISTING), *checks, _outside_of_times(times, kind)]


def times_of_ticks(ticks: pl.Series, tick: str, kind: Timestamp) -> tuple[pl.Series, Checks]:
    """Times from ticks since 1970 in a unit, and which of them lie outside of the kind's bounds."""
    first, last = (1_000 * _us(bound) // TICK_NS[tick] for bound in (FIRST_TIME, LAST_TIME))
    known = ticks.cast(pl.Int64)
    known = known.set(~known.is_between(max(first, INT64[0]), min(last, INT64[1])), None)
    times = known // 1_000 if tick == "ns" else known * (TICK_NS[tick] // 1_000)
    return _cut(times, kind), [_outside_of_times(times, kind)]


def shown_ticks(ticks: int, tick: str) -> str:
    """A time as a person reads it."""
    try:
        return str(EPOCH + datetime.timedelta(microseconds=ticks * TICK_NS[tick] // 1_000))
    except OverflowError:
        return f"{ticks} {tick} after 1970"


def _in_form(text: pl.Series, form: str) -> pl.Series:
    try:
        return text.str.to_datetime(form.replace(".%f", "%.f"), time_unit="us", strict=False).to_physical()
    except pl.exceptions.PolarsError as error:
        raise BadInput(f"the time form {form!r} cannot be used: {str(error).splitlines()[0]}") from None


def _local_us(text: pl.Series) -> pl.Series:
    """A date and time without an offset; null where no calendar or clock has it, and 0 for a part that is not there."""
    day = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    return (
        day.to_physical().cast(pl.Int64) * DAY_US
        + _part(text.str.slice(11, 2), 24) * HOUR_US
        + _part(text.str.slice(14, 2), 60) * MINUTE_US
        + _part(text.str.slice(17, 2), 60) * SECOND_US
        + _part(text.str.slice(20, 6).str.pad_end(6, "0"), SECOND_US)
    )


def _offset_us(zone: pl.Series) -> pl.Series:
    """What to take off to get UTC: nothing where there is no offset, null for one that does not exist."""
    digits = zone.str.replace(":", "", literal=True).str.slice(1).str.pad_end(4, "0")
    size = _part(digits.str.slice(0, 2), 24) * HOUR_US + _part(digits.str.slice(2, 2), 60) * MINUTE_US
    return (-size).zip_with(zone.str.starts_with("-").fill_null(False), size)


def _part(digits: pl.Series, below: int) -> pl.Series:
    number = digits.cast(pl.Int64, strict=False).fill_null(0)
    return number.set(number >= below, None)


def _cut(times: pl.Series, kind: Timestamp) -> pl.Series:
    return times // kind.cut_to_us * kind.cut_to_us


def _outside_of_times(times: pl.Series, kind: Timestamp) -> tuple[pl.Series, str]:
    return ~times.is_between(_us(kind.earliest), _us(kind.latest)), kind.bounds


def _us(time: datetime.datetime) -> int:
    return (time - EPOCH) // datetime.timedelta(microseconds=1)


BLANKS = " \t\r\n"
MISSING = "a value in each row"
TYPES: dict[type[Kind], pl.DataType] = {
    Number: pl.Int64(),
    Timestamp: pl.Datetime("us"),
    Label: pl.Boolean(),
    Text: pl.String(),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Cells:
    """A column of a file: texts, integers, or ticks since 1970 of a unit; `foreign` names a type beside them."""

    values: pl.Series
    tick: str | None = None
    foreign: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """Typed values, null where they are refused; and for each refusal which values, and what is expected instead."""

    values: pl.Series
    refused: list[tuple[pl.Series, str]]


def judge_column(cells: Cells, kind: Kind) -> Judged:
    """The values of a column in their kind; a value that is refused is in exactly one of the refusals."""
    if unfit := cells.foreign or (cells.tick and not isinstance(kind, Timestamp) and "times"):
        nothing = pl.Series([None] * len(cells.values), dtype=TYPES[type(kind)])
        return Judged(nothing, [(nothing.is_null(), f"{kind.expected}, and the column holds {unfit}")])
    values, checks = _checked(cells, kind)
    return _in_turn(values.cast(TYPES[type(kind)]), [(cells.values.is_null(), MISSING), *checks])


def _checked(cells: Cells, kind: Kind) -> tuple[pl.Series, list[tuple[pl.Series, str]]]:
    if isinstance(kind, Text):
        return cells.values.cast(pl.String), []
    if isinstance(kind, Timestamp) and cells.tick:
        return times_of_ticks(cells.values, cells.tick, kind)
    if isinstance(kind, Number) and not kind.places and cells.values.dtype == pl.Int64:
        return numbers_of(cells.values, kind)
    text = cells.values.cast(pl.String).str.strip_chars(BLANKS)
    empty = (text == "", MISSING)
    match kind:
        case Number():
            values, checks = numbers_of(text, kind)
        case Label():
            values, checks = labels_of(text, kind)
        case Timestamp():
            values, checks = times_of_text(text, kind)
    return values, [empty, *checks]


def _in_turn(values: pl.Series, checks: Sequence[tuple[pl.Series, str]]) -> Judged:
    """Give each value to the first check that refuses it; checks of one expectation are one refusal."""
    accepted = pl.repeat(True, len(values), eager=True)
    refused: dict[str, pl.Series] = {}
    for wrong, expected in checks:
        now = accepted & wrong.fill_null(True)
        refused[expected] = refused[expected] | now if expected in refused else now
        accepted &= ~now
    return Judged(values.set(~accepted, None), [(mask, expected) for expected, mask in refused.items() if mask.any()])
