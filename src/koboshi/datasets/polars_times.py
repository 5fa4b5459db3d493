"""Times of a column, as microseconds since 1970 in UTC: from texts in ISO 8601 or another form, and from ticks."""

import datetime

import polars as pl

from koboshi.datasets.polars_numbers import Checks
from koboshi.datasets.table_columns import FIRST_TIME, INT64, LAST_TIME, Timestamp
from koboshi.errors import BadInput

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
        return _cut(times, kind), [(times.is_null(), kind.expected), _outside(times, kind)]
    no_time = (~text.str.contains(ISO), kind.expected)
    zone = text.str.slice(16).str.extract(ZONE)
    if zone.is_null().all():
        times, checks = _local_us(text), []
    else:
        times, checks = (
            _local_us(text.str.replace(TIME_AND_ZONE, "$1")) - _offset_us(zone),
            [(zone.is_null(), AN_OFFSET)],
        )
    return _cut(times, kind), [no_time, (times.is_null(), EXISTING), *checks, _outside(times, kind)]


def times_of_ticks(ticks: pl.Series, tick: str, kind: Timestamp) -> tuple[pl.Series, Checks]:
    """Times from ticks since 1970 in a unit, and which of them lie outside of the kind's bounds."""
    first, last = (1_000 * _us(bound) // TICK_NS[tick] for bound in (FIRST_TIME, LAST_TIME))
    known = ticks.cast(pl.Int64)
    known = known.set(~known.is_between(max(first, INT64[0]), min(last, INT64[1])), None)
    times = known // 1_000 if tick == "ns" else known * (TICK_NS[tick] // 1_000)
    return _cut(times, kind), [_outside(times, kind)]


def shown_ticks(ticks: int, tick: str) -> str:
    """A time as a person reads it."""
    try:
        return str(EPOCH + datetime.timedelta(microseconds=ticks * TICK_NS[tick] // 1_000))
    except OverflowError:
        return f"{ticks} {tick} after 1970"


def _in_form(text: pl.Series, form: str) -> pl.Series:
    try:
        parsed = text.str.to_datetime(form.replace(".%f", "%.f"), time_unit="us", strict=False)
    except pl.exceptions.PolarsError as error:
        raise BadInput(f"the time form {form!r} cannot be used: {str(error).splitlines()[0]}") from None
    return parsed.to_physical()


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


def _outside(times: pl.Series, kind: Timestamp) -> tuple[pl.Series, str]:
    return ~times.is_between(_us(kind.earliest), _us(kind.latest)), kind.bounds


def _us(time: datetime.datetime) -> int:
    return (time - EPOCH) // datetime.timedelta(microseconds=1)
