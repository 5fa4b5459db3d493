"""Numbers and labels of a column of texts, exactly: no value passes through a floating-point number."""

import decimal

import polars as pl

from koboshi.datasets.table_columns import Label, Number

PLAIN = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
WITH_EXPONENT = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]{1,6}$"
MOST_DIGITS = 40  # a number with more of them before the point does not fit 64 bits

Checks = list[tuple[pl.Series, str]]
"""Which values are wrong, and what is expected of them; a later check is of values that all earlier ones accept."""


def numbers_of(text: pl.Series, kind: Number) -> tuple[pl.Series, Checks]:
    """Integers of the smallest unit, and which texts are no such number. Integers may come as such."""
    whole = text.cast(pl.Int64, strict=False)
    if not kind.places and (text.dtype == pl.Int64 or not whole.has_nulls()):
        return whole, [_outside(whole, kind)]
    plain = _without_exponents(text)
    parts = plain.str.split_exact(".", 1).struct.unnest()
    fraction = parts["field_1"].fill_null("").str.strip_chars_end("0")
    digits = parts["field_0"] + fraction.str.pad_end(kind.places, "0")
    values = digits.cast(pl.Int64, strict=False)
    return values, [
        (~plain.str.contains(PLAIN), kind.expected),
        (fraction.str.len_chars() > kind.places, kind.precision),
        _outside(values, kind),
    ]


def labels_of(text: pl.Series, kind: Label) -> tuple[pl.Series, Checks]:
    """Truth values, and which texts are none."""
    lower = text.str.to_lowercase()
    word = lower.is_in(["true", "false"])
    if word.all():
        return lower == "true", []
    number, checks = numbers_of(lower, Number(smallest=0, largest=1))
    no_number = pl.DataFrame([wrong.alias(str(place)) for place, (wrong, _) in enumerate(checks)])
    wrong = ~word & no_number.select(pl.any_horizontal(pl.all().fill_null(True))).to_series()
    return (lower == "true") | (~word & (number == 1)), [(wrong, kind.expected)]


def _outside(values: pl.Series, kind: Number) -> tuple[pl.Series, str]:
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
