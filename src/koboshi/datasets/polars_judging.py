"""Judges a column: which of its values are what was declared, and what is expected of those that are not.

Whole columns are judged at once. No value is rounded, guessed or cut to fit; only what a time has finer than wanted is
cut off, as its declaration says.
"""

import dataclasses
from collections.abc import Sequence

import polars as pl

from koboshi.datasets.polars_numbers import labels_of, numbers_of
from koboshi.datasets.polars_times import times_of_text, times_of_ticks
from koboshi.datasets.table_columns import Kind, Label, Number, Text, Timestamp

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


def judge(cells: Cells, kind: Kind) -> Judged:
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
    found = [(mask, expected) for expected, mask in refused.items() if mask.any()]
    return Judged(values.set(~accepted, None), found)
