"""Each value of a person's table is read exactly, or refused with its place; and Python's own arithmetic agrees."""

import datetime
import decimal
import enum
import fractions
import math
import re
import string

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koboshi.datasets.polars_columns import Cells, judge_column
from koboshi.datasets.polars_files import read_table
from koboshi.datasets.table_columns import INT64, Column, Label, Number, Text, Timestamp
from koboshi.errors import BadInput
from tests.support.tables_of_a_person import csv_of, read

CENTS = Number(places=2)
NOON = datetime.datetime(2018, 7, 1, 12)
DAY = datetime.datetime(2018, 7, 1)
COMMA = '"{}"'.format  # a field with a comma in it
REFUSED = enum.Enum("Outcome", "REFUSED").REFUSED  # a name in the tests' ids, the same in each session

TEXTS = [
    (Number(), "7", 7),
    (Number(), "007", 7),
    (Number(), "+7", 7),
    (Number(), " -7 ", -7),
    (Number(), "7.0", 7),
    (Number(), "7.", 7),
    (Number(), "1e3", 1_000),
    (Number(), "12e-1", REFUSED),
    (Number(), "120e-1", 12),
    (Number(), str(INT64[0]), INT64[0]),
    (Number(), str(INT64[1]), INT64[1]),
    (Number(), str(INT64[1] + 1), REFUSED),
    (Number(), "1.7", REFUSED),
    (Number(), "1_000", REFUSED),
    (Number(), "0x10", REFUSED),
    (Number(), "\N{ARABIC-INDIC DIGIT SEVEN}", REFUSED),
    (Number(), "true", REFUSED),
    (Number(), "1e999999", REFUSED),
    (Number(), "1e99999999999999999999", REFUSED),
    (Number(), "0e999", 0),
    (Number(), "", REFUSED),
    (CENTS, "10", 1_000),
    (CENTS, "10.5", 1_050),
    (CENTS, ".5", 50),
    (CENTS, "-.5", -50),
    (CENTS, "-0.05", -5),
    (CENTS, "12.340000", 1_234),
    (CENTS, "12.345", REFUSED),
    (CENTS, "44.800000000000004", REFUSED),
    (CENTS, "12.34000000000000000000001", REFUSED),
    (CENTS, "1e16", 10**18),
    (CENTS, "1e18", REFUSED),
    (CENTS, "5e-2", 5),
    (CENTS, "5e-3", REFUSED),
    (CENTS, "92233720368547758.07", INT64[1]),
    (CENTS, "92233720368547758.08", REFUSED),
    (CENTS, "NaN", REFUSED),
    (CENTS, "inf", REFUSED),
    (CENTS, COMMA("12,50"), REFUSED),
    (CENTS, COMMA("1,234.50"), REFUSED),
    (CENTS, "€5", REFUSED),
    (CENTS, "5-", REFUSED),
    (CENTS, ".", REFUSED),
    (CENTS, "1.2.3", REFUSED),
    (Number(places=2, smallest=0), "-1", REFUSED),
    (Number(places=2, smallest=0), "-0.0", 0),
    *[(Label(), text, True) for text in ("true", "TRUE", "True", "1", "1.0", " 1 ", "1e0")],
    *[(Label(), text, False) for text in ("false", "0", "0.0", "-0.0", "00")],
    *[(Label(), text, REFUSED) for text in ("NaN", "0.5", "2", "-1", "yes", "t", "", "1.0000001", "none")],
    (Timestamp(), "2018-07-01T12:00:00", NOON),
    (Timestamp(), "2018-07-01 12:00", NOON),
    (Timestamp(), "2018-07-01t12:00:00z", NOON),
    (Timestamp(), "2018-07-01T14:00:00+02:00", NOON),
    (Timestamp(), "2018-07-01T06:30:00-0530", NOON),
    (Timestamp(), "2018-07-01T06:00-06", NOON),
    (Timestamp(), "2018-07-01", DAY),
    (Timestamp(), "2018-07-01T12:00:00.123456789", NOON.replace(microsecond=123_456)),
    (Timestamp(), COMMA("2018-07-01T12:00:00,5"), NOON.replace(microsecond=500_000)),
    (Timestamp(cut_to_us=1_000_000), "2018-07-01T12:00:00.999", NOON),
    (Timestamp(cut_to_us=1_000_000), "1969-12-31T23:59:59.5", datetime.datetime(1969, 12, 31, 23, 59, 59)),
    (Timestamp(), "0001-01-01", datetime.datetime.min),
    (Timestamp(), "9999-12-31T23:59:59.999999", datetime.datetime.max),
    (Timestamp(), "9999-12-31T23:59:59-01:00", REFUSED),
    *[
        (Timestamp(), text, REFUSED)
        for text in (
            "07/01/2018",
            "01.07.2018",
            "2018-7-1",
            "20180701",
            "2018-W26-7",
            "2018-182",
            "2018-02-30",
            "2018-13-01",
            "0000-01-01",
            "2018-07-01T24:00:00",
            "2018-07-01T12:60:00",
            "2018-07-01T12:00:60",
            "2018-07-01T12",
            "2018-07-01T12:00:00.",
            "2018-07-01T12:00:00+25:00",
            "2018-07-01T12:00:00+02:60",
            "2018-07-01T12:00:00 UTC",
            "2018-07-01Z",
            "2018-07-01T12:00:00+2",
            "12018-07-01",
            "1530446400",
            "yesterday",
            "NaT",
            "",
        )
    ],
    (Timestamp(form="%d/%m/%Y"), "07/01/2018", datetime.datetime(2018, 1, 7)),
    (Timestamp(form="%m/%d/%Y %I:%M %p"), "07/01/2018 12:00 PM", NOON),
    (Timestamp(form="%d.%m.%Y %H:%M:%S.%f"), "01.07.2018 12:00:00.25", NOON.replace(microsecond=250_000)),
    (Timestamp(form="%Y-%m-%d %H:%M %z"), "2018-07-01 14:00 +0200", NOON),
    (Timestamp(form="%s"), "1530446400", NOON),
    (Timestamp(form="%d/%m/%Y"), "2018-07-01", REFUSED),
    (Timestamp(form="%d/%m/%Y"), "31/02/2018", REFUSED),
    (Timestamp(form="%d/%m/%Y"), "07/01/2018 12:00", REFUSED),
    (Text(), "as it is ", "as it is "),
    (Text(), "", ""),
    (Text(), '"two ""quotes"" and\na line"', 'two "quotes" and\na line'),
]

SERIES = [
    (Number(), pl.Series([2**63], dtype=pl.UInt64), REFUSED),
    (Number(), pl.Series([7], dtype=pl.UInt64), 7),
    (Number(), pl.Series([7], dtype=pl.Int8), 7),
    (Number(), pl.Series([7.0]), 7),
    (Number(), pl.Series([1.7]), REFUSED),
    (Number(), pl.Series([True]), REFUSED),
    (Number(), pl.Series([None], dtype=pl.Int64), REFUSED),
    (Number(), pl.Series(["7"], dtype=pl.Categorical), 7),
    (Number(), pl.Series([b"7"]), 7),
    (Number(), pl.Series([b"\xff"]), REFUSED),
    (Number(), pl.Series([[7]]), REFUSED),
    (Number(), pl.Series([{"a": 7}]), REFUSED),
    (Number(), pl.Series([datetime.date(2018, 7, 1)]), REFUSED),
    (CENTS, pl.Series([12.34]), 1_234),
    (CENTS, pl.Series([0.1], dtype=pl.Float32), 10),
    (CENTS, pl.Series([0.1 + 0.2]), REFUSED),
    (CENTS, pl.Series([12.345]), REFUSED),
    (CENTS, pl.Series([1e16]), 10**18),
    (CENTS, pl.Series([1e18]), REFUSED),
    (CENTS, pl.Series([math.nan]), REFUSED),
    (CENTS, pl.Series([math.inf]), REFUSED),
    (CENTS, pl.Series([5], dtype=pl.Int32), 500),
    (CENTS, pl.Series([10**17]), REFUSED),
    (CENTS, pl.Series([decimal.Decimal("12.340")]), 1_234),
    (CENTS, pl.Series([decimal.Decimal("12.345")]), REFUSED),
    (Label(), pl.Series([True]), True),
    (Label(), pl.Series([0], dtype=pl.UInt8), False),
    (Label(), pl.Series([1.0]), True),
    (Label(), pl.Series([math.nan]), REFUSED),
    (Label(), pl.Series([0.5]), REFUSED),
    (Label(), pl.Series([2]), REFUSED),
    (Label(), pl.Series(["True"], dtype=pl.Categorical), True),
    (Label(), pl.Series(["no"], dtype=pl.Enum(["no"])), REFUSED),
    (Label(), pl.Series([datetime.timedelta(1)]), REFUSED),
    (Timestamp(), pl.Series([NOON]), NOON),
    (Timestamp(), pl.Series([NOON], dtype=pl.Datetime("ms")), NOON),
    (
        Timestamp(),
        pl.Series([-1], dtype=pl.Int64).cast(pl.Datetime("ns")),
        datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999),
    ),
    (Timestamp(), pl.Series([NOON.replace(tzinfo=datetime.UTC)]).dt.convert_time_zone("Asia/Tokyo"), NOON),
    (Timestamp(), pl.Series([DAY.date()]), DAY),
    (Timestamp(), pl.Series(["2018-07-01"], dtype=pl.Categorical), DAY),
    (Timestamp(), pl.Series([2**62]).cast(pl.Datetime("ms")), REFUSED),
    (Timestamp(), pl.Series([-(2**62)]).cast(pl.Datetime("us")), REFUSED),
    (Timestamp(), pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date), REFUSED),
    (Timestamp(), pl.Series([1_530_446_400]), REFUSED),
    (Timestamp(), pl.Series([datetime.time(12)]), REFUSED),
    (Text(), pl.Series(["a"]), "a"),
    (Text(), pl.Series([None], dtype=pl.String), REFUSED),
    (Text(), pl.Series([7]), "7"),
]


def in_short(part):
    """A test's name: some of these times are too far away for Polars to show."""
    return (
        str(part.dtype)
        if isinstance(part, pl.Series)
        else type(part).__name__
        if isinstance(part, Number | Timestamp | Label | Text)
        else repr(part)
    )


def check_value_or_refusal(path, kind, wanted, place):
    if wanted is not REFUSED:
        assert read(path, kind).rows["a"].to_list() == [wanted]
        return
    with pytest.raises(BadInput, match=rf"{path.name} is refused(?s:.*)\n  a: 1 value refused, expected .*: {place} "):
        read(path, kind)


@pytest.mark.parametrize(("kind", "text", "wanted"), TEXTS, ids=in_short)
def test_a_text_is_its_exact_value_or_is_refused(tmp_path, kind, text, wanted):
    """The same whether Polars splits the file, or Python's parser does because there is a blank line."""
    check_value_or_refusal(csv_of(tmp_path, "a,z", f"{text},"), kind, wanted, "line 2")
    check_value_or_refusal(csv_of(tmp_path, "a,z", f'{text},""', "", ""), kind, wanted, "line 2")


@pytest.mark.parametrize(("kind", "series", "wanted"), SERIES, ids=in_short)
def test_a_value_of_a_parquet_file_is_its_exact_value_or_is_refused(tmp_path, kind, series, wanted):
    path = tmp_path / "table.parquet"
    series.alias("a").to_frame().write_parquet(path)
    check_value_or_refusal(path, kind, wanted, "row 1")


def test_types_that_only_arrow_writes_are_read_or_refused(tmp_path):
    """A dictionary of numbers is numbers, a decimal of 76 digits is one of few; a list has no plain form."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "table.parquet"
    table = {"a": pa.array([7]).dictionary_encode(), "b": pa.array([decimal.Decimal("5.1")], pa.decimal256(70, 30))}
    pq.write_table(pa.table(table), path)
    assert read(path, Number(), CENTS).rows.rows() == [(7, 510)]


def test_times_with_and_without_an_offset_do_not_mix(tmp_path):
    path = csv_of(tmp_path, "a", "2018-07-01T12:00:00Z", "2018-07-01T12:00:00", "2018-07-01")
    with pytest.raises(BadInput, match=r"a: 2 values refused, expected an offset .*: line 3 .*, line 4 "):
        read(path, Timestamp())


def test_a_time_out_of_bounds_is_refused_with_the_bounds(tmp_path):
    kind = Timestamp(earliest=DAY, latest=NOON, because=", the last noon")
    path = csv_of(tmp_path, "a", "2018-07-01T12:00:00", "2018-07-01T12:00:01", "2018-06-30")
    wanted = "expected a time from 2018-07-01 00:00:00 to 2018-07-01 12:00:00, the last noon: line 3 .*, line 4"
    with pytest.raises(BadInput, match=wanted):
        read(path, kind)


@pytest.mark.parametrize("form", ["%H:%M", "%d/%m", "%Y", "abc", "", "%Y-%m-%d %f", "%Y-%m-%d %q", "%Y-%m-%d %"])
def test_a_form_of_times_that_gives_no_day_is_refused(form):
    with pytest.raises(BadInput, match="the time form"):
        Timestamp(form=form)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "whole": st.integers(*INT64),
            "cents": st.integers(*INT64),
            "at": st.datetimes(),
            "label": st.booleans(),
            "text": st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8),
        }
    ),
    min_size=1,
    max_size=5,
)
WRITTEN = [
    Column("whole", Number()),
    Column("cents", CENTS),
    Column("at", Timestamp()),
    Column("label", Label()),
    Column("text", Text()),
]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@settings(max_examples=30)
@given(rows=ROWS)
def test_what_a_writer_writes_exactly_is_read_back_exactly(tmp_path_factory, suffix, rows):
    path = tmp_path_factory.getbasetemp() / f"written.{suffix}"
    wanted = pl.DataFrame(rows, schema_overrides={"at": pl.Datetime("us")})
    amounts = [decimal.Decimal(row["cents"]).scaleb(-2) for row in rows]
    written = wanted.with_columns(cents=pl.Series(amounts, dtype=pl.Decimal(38, 2)))
    written.write_csv(path) if suffix == "csv" else written.write_parquet(path)
    assert read_table(path, WRITTEN).rows.equals(wanted.select(column.name for column in WRITTEN))


@settings(max_examples=50)
@given(texts=st.lists(st.text(st.sampled_from("0123456789..--+eE "), min_size=1, max_size=8), min_size=1, max_size=30))
def test_a_number_is_what_decimal_arithmetic_says(texts):
    """In each row by itself: what stands beside it changes nothing."""

    def cents(text):
        if not re.fullmatch(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *", text):
            return None
        scaled = fractions.Fraction(decimal.Decimal(text.strip())) * 100
        return int(scaled) if scaled.denominator == 1 and abs(scaled) < 2**63 else None

    usual = [text for text in texts if not re.search(r"[eE].{4}", text)]
    judged = judge_column(Cells(pl.Series(usual, dtype=pl.String)), CENTS)
    assert judged.values.to_list() == [cents(text) for text in usual]


TIMES = st.builds(
    "{:%Y-%m-%d}{}{}{}".format,
    st.datetimes(min_value=datetime.datetime(1000, 1, 2), max_value=datetime.datetime(9999, 12, 30)),
    st.sampled_from(["T", " "]),
    st.from_regex(
        r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?", fullmatch=True, alphabet=string.printable
    ),
    st.sampled_from(["Z", "+02:00", "-05:30", "+0200", "-11"]),
)


@settings(max_examples=50)
@given(texts=st.lists(TIMES, min_size=1, max_size=10))
def test_a_time_is_what_python_says(texts):
    """With an offset, in UTC."""
    judged = judge_column(Cells(pl.Series(texts)), Timestamp())
    wanted = [datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).replace(tzinfo=None) for text in texts]
    assert judged.values.to_list() == wanted
