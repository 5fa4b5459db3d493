"""Any bytes as CSV, any column as Parquet, any form of times: typed rows, or `BadInput`, and no other exception."""

import csv
import io
import random
from contextlib import suppress

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koboshi.datasets.polars_columns import TYPES, Cells, judge_column
from koboshi.datasets.polars_files import read_table
from koboshi.datasets.pyarrow_columns import read_parquet
from koboshi.datasets.table_columns import INT64, Column, Label, Number, Text, Timestamp
from koboshi.errors import BadInput
from tests.support.fuzzing import drawn, fuzzed

KINDS = st.sampled_from(
    [Number(), Number(2), Number(2, smallest=0), Timestamp(), Timestamp(cut_to_us=10**6), Label(), Text()]
)
PIECES = [
    "a",
    "A",
    "e",
    ",",
    "\n",
    "\r\n",
    "\r",
    '"',
    '""',
    ";",
    "\ufeff",
    "\0",
    " ",
    "\N{EURO SIGN}",
    "1",
    "-1.5",
    "x\n1,",
]
FIELDS = ["1", '"x"', "", '""', "a b", 'x"', '"', '"x""y"', '"x,y"']
FORMS = ["{text}", "a,e\n{text}", "a,e\n{lines}", "a,e\r\n{lines}\r\n"]


def some_csv(draw: random.Random) -> bytes:
    """Any bytes, pieces of CSV in any order, or lines that are nearly right."""
    text = "".join(draw.choices(PIECES, k=draw.randint(0, draw.randint(0, 15))))
    lines = "\n".join(",".join(draw.choices(FIELDS, k=2)) for _ in range(draw.randint(1, 4)))
    table = draw.choice(FORMS).format(text=text, lines=lines).encode()
    return draw.choice([table, table, draw.randbytes(draw.randint(0, 60))])


def some_form(draw: random.Random) -> str:
    """Of times, with directives that exist and others."""
    return "".join(
        draw.choices([*"%%%%%YymdbHIMSpzjsFTDRfe./- :x", "%d/%m/%Y"], k=draw.randint(0, draw.randint(0, 12)))
    )


def some_time(draw: random.Random) -> str:
    return "".join(draw.choices("0123456789/-.: +TZapm", k=draw.randint(0, draw.randint(0, 20))))


VALUES = st.text(st.sampled_from("0123456789" * 2 + "+-.,:eETZ aNfn"), max_size=25) | st.sampled_from(
    [
        "true",
        "FALSE",
        "1e5",
        "9" * 20,
        "2018-07-01",
        "2018-07-01T12:00+02:00",
        "1.0",
        "nan",
        "",
        "0e-9",
        "9999-12-31T23:59:59-23:59",
    ]
)
INTS = st.integers(*INT64)
ANY_SERIES = st.one_of(
    st.lists(st.none() | values, min_size=1, max_size=3).map(lambda found, to=to: to(found))
    for values, to in [
        (INTS, lambda found: pl.Series(found, dtype=pl.Int64)),
        (INTS, lambda found: pl.Series(found, dtype=pl.Int64).cast(pl.Datetime("ms"))),
        (INTS, lambda found: pl.Series(found, dtype=pl.Int64).cast(pl.Datetime("us", "Asia/Tokyo"))),
        (INTS, lambda found: pl.Series(found, dtype=pl.Int64).cast(pl.Datetime("ns"))),
        (INTS, lambda found: pl.Series(found, dtype=pl.Int64).cast(pl.Duration("us"))),
        (st.integers(-(2**31), 2**31 - 1), lambda found: pl.Series(found, dtype=pl.Int32).cast(pl.Date)),
        (st.integers(0, 2**64 - 1), lambda found: pl.Series(found, dtype=pl.UInt64)),
        (st.floats(), lambda found: pl.Series(found, dtype=pl.Float64)),
        (st.floats(width=32), lambda found: pl.Series(found, dtype=pl.Float32)),
        (st.decimals(-(10**20), 10**20, places=3), lambda found: pl.Series(found, dtype=pl.Decimal(38, 3))),
        (st.booleans(), lambda found: pl.Series(found, dtype=pl.Boolean)),
        (VALUES, lambda found: pl.Series(found, dtype=pl.String)),
        (VALUES, lambda found: pl.Series(found, dtype=pl.Categorical)),
        (st.binary(max_size=5), lambda found: pl.Series(found, dtype=pl.Binary)),
        (st.lists(INTS), lambda found: pl.Series(found, dtype=pl.List(pl.Int64))),
        (st.none(), lambda found: pl.Series(found, dtype=pl.Null)),
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@fuzzed
@given(data=drawn(some_csv))
def test_any_bytes_as_csv(folder, data):
    """Rows are those that Python's parser finds, also where Polars splits the file."""
    path = folder / "table.csv"
    path.write_bytes(data)
    header, rows = parsed(data)
    with suppress(BadInput):
        table = read_table(path, [Column(header[-1], Text())])
        assert table.rows[header[-1]].to_list() == [row[-1] for row in rows]
        assert len(table.places.numbers) == len(rows) > 0


def parsed(data):
    """The header and the records as Python's parser has them; some header where the bytes are no such file."""
    with suppress(UnicodeDecodeError, csv.Error, ValueError):
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
        header, *rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
        return header, rows
    return ["a"], []


@fuzzed
@given(series=ANY_SERIES, kind=KINDS)
def test_any_column_as_parquet(folder, series, kind):
    path = folder / "table.parquet"
    series.alias("a").to_frame().write_parquet(path)
    with suppress(BadInput):
        table = read_table(path, [Column("a", kind)])
        assert (table.rows.dtypes, table.rows["a"].null_count()) == ([TYPES[type(kind)]], 0)


@fuzzed
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_any_flipped_byte_of_a_parquet_file(folder, place, flip):
    path, changed = folder / "flipped.parquet", bytearray(PARQUET)
    changed[place % len(changed)] ^= flip
    path.write_bytes(changed)
    with suppress(BadInput):
        read_parquet(path, lambda names: [name for name in names if names.count(name) == 1])


@fuzzed
@given(form=drawn(some_form), text=drawn(some_time))
def test_any_form_of_times(form, text):
    with suppress(BadInput):
        check_judged(Cells(pl.Series([text])), Timestamp(form=form))


def check_judged(cells, kind):
    """A value is there, or in exactly one of the refusals."""
    judged = judge_column(cells, kind)
    assert judged.values.dtype == TYPES[type(kind)]
    assert judged.values.null_count() == sum(wrong.sum() for wrong, _ in judged.refused)


def _parquet():
    frame = pl.DataFrame({"a": [1, None], "b": ["1.5", "2"], "c": [[1], [2]]})
    frame.write_parquet(file := io.BytesIO())
    return file.getvalue()


PARQUET = _parquet()
