"""A person's file: which columns are found, what is no table, and how refusals are said."""

import os

import polars as pl
import pytest

from koboshi.datasets.polars_files import read_table
from koboshi.datasets.table_columns import Column, Label, Number, Text
from koboshi.errors import BadInput
from tests.support.tables_of_a_person import csv_of, read


def test_all_kinds_of_faults_are_named_at_once_with_counts_and_the_first_three(tmp_path):
    """Each with the line, as a text editor counts it, the column, the value, and what is expected."""
    lines = ["a,b,c", "x,1.001,1", "", "y,2,2", 'z,"\n",0', "u,2,0.5", "v,2", "1,-1,0"]
    path = csv_of(tmp_path, *lines)
    with pytest.raises(BadInput) as refused:
        read_table(
            path, [Column("a", Number()), Column("b", Number(2, smallest=0)), Column("c", Label()), Column("d", Text())]
        )
    assert str(refused.value).splitlines() == [
        f"{path} is refused; mend the file, then run the same command again:",
        "  the fields of a line: 1 value refused, expected 3 as in the header: line 8 with 2",
        "  d: there is no column d; what else the file has: nothing",
        "  a: 4 values refused, expected a whole number: line 2 'x', line 4 'y', line 5 'z', …",
        "  b: 1 value refused, expected a value in each row: line 5 '\\n'",
        "  b: 1 value refused, expected at most 2 decimal places, rounded in the file itself: line 2 '1.001'",
        "  b: 1 value refused, expected a number from 0.00 to 92,233,720,368,547,758.07: line 9 '-1'",
        "  c: 2 values refused, expected true, false, 1 or 0: line 4 '2', line 7 '0.5'",
    ]


def test_rows_of_a_parquet_file_are_counted_from_one(tmp_path):
    path = tmp_path / "table.parquet"
    pl.DataFrame({"a": [1.0, 2.5, None]}).write_parquet(path)
    with pytest.raises(BadInput, match=r"row 3 \(empty\)\n.*row 2 '2.5'"):
        read(path, Number())


def test_a_value_that_has_to_be_unique_is_named_where_it_comes_again(tmp_path):
    """Also where it is written otherwise."""
    with pytest.raises(BadInput, match=r"a: 1 value refused, expected a value that no row before it has: line 4 '7.0'"):
        read_table(csv_of(tmp_path, "a,b", "7,", "8,", "7.0,"), [Column("a", Number(), unique=True)])


def test_a_rule_of_the_callers_own_refuses_in_the_same_words(tmp_path):
    table = read(csv_of(tmp_path, "a", "1", "2", "3"), Number())
    odd = table.rows["a"] % 2 == 1
    with pytest.raises(BadInput, match=r"a: 2 values refused, expected an even number: line 2 '1', line 4 '3'"):
        table.check("a", odd, "an even number", table.rows["a"])
    table.check("a", ~(odd | True), "anything", table.rows["a"])


@pytest.mark.parametrize(
    ("header", "position"),
    [("a,TX", 0), ("A,x", 0), ("x, Tx ", 1), ("x,a ", 1), ("A,a", 1), ("TX,a", 1)],
)
def test_a_column_is_found_by_its_name_else_by_alias_in_any_letter_case(tmp_path, header, position):
    path = csv_of(tmp_path, header, "0,1")
    assert read_table(path, [Column("a", Number(), ("tx",))]).rows["a"].to_list() == [position]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("A,TX", r"a: 'A' \(column 1\) and 'TX' \(column 2\) are both this column"),
        ("a,a", r"a: 'a' \(column 1\) and 'a' \(column 2\) are both this column"),
        ("x,y", r"a: there is no column a or tx; what else the file has: 'x', 'y'"),
        ("x,tc", r"a: there is no column a or tx; what else the file has"),
        ("\x1b[1m,b", r"what else the file has: '\\x1b\[1m', 'b'"),
    ],
)
def test_a_column_that_is_missing_or_there_twice_is_named(tmp_path, header, said):
    with pytest.raises(BadInput, match=said):
        read_table(csv_of(tmp_path, header, "0,1"), [Column("a", Number(), ("tx",))])


def test_all_missing_columns_are_named_and_near_names_offered(tmp_path):
    wanted = [Column(name, Number()) for name in ("customer_id", "terminal_id", "amount")]
    with pytest.raises(BadInput, match=r"(?s)no column terminal_id; did you mean 'terminalId'\?.*no column amount"):
        read_table(csv_of(tmp_path, "customer_id,terminalId,z", "0,1,2"), wanted)


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_an_empty_file_has_no_rows(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(BadInput, match=rf"{name} is refused: it has no rows"):
        read(tmp_path / name, Number())


@pytest.mark.parametrize("text", ["a,b\n", "a,b", "\n\n", "\ufeff", "b,c\n\n"])
def test_a_csv_file_of_a_header_has_no_rows(tmp_path, text):
    with pytest.raises(BadInput, match="it has no rows"):
        read(csv_of(tmp_path, text), Number())


def test_a_parquet_file_without_rows_has_no_rows(tmp_path):
    pl.DataFrame({"a": []}).write_parquet(tmp_path / "table.parquet")
    with pytest.raises(BadInput, match="it has no rows"):
        read(tmp_path / "table.parquet", Number())


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfa,b\n1,2\n",
        b"a,b\r\n1,2\r\n",
        b"a,b\r1,2\r",
        b'"a","b"\n"1","2"',
        b"a,b\n1,2\n\n",
        b"\n\na,b\n1,2",
    ],
)
def test_marks_line_ends_quotes_and_blank_lines_change_nothing(tmp_path, data):
    (tmp_path / "table.csv").write_bytes(data)
    assert read(tmp_path / "table.csv", Number(), Number()).rows.rows() == [(1, 2)]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a;b\n1;2\n", r"its header is one column, 'a;b'. Is ';' the separator\?"),
        (b"a\tb\n1\t2\n", r"Is '\\t' the separator\?"),
        (b"a,b\n1,2\nJos\xe9,3\n", r"it is not UTF-8 text \(byte 0xe9 in line 3, at offset 11\)"),
        ("a,b\n1,2\n".encode("utf-16"), r"it is not UTF-8 text \(byte 0xff in line 1, at offset 0\)"),
        (b'a,b\n1,2\n3,"4\n5,6\n', r"the record that begins in line 3 cannot be read \(unexpected end of data\)"),
        (b'a,b\n1,"2"x\n', r"the record that begins in line 2 cannot be read"),
        (b"a,b\n1,2,3\n4\n5,6,7", r"expected 2 as in the header: line 2 with 3, line 3 with 1, line 4 with 3"),
        (b"a,b\n1,2\n\n3,4,", r"expected 2 as in the header: line 4 with 3"),
        (b"a,b\n1,2,3\n4\n", r"expected 2 as in the header: line 2 with 3, line 3 with 1$"),
    ],
)
def test_a_file_that_is_no_such_csv_is_one_sentence(tmp_path, data, said):
    (tmp_path / "table.csv").write_bytes(data)
    with pytest.raises(BadInput, match=said):
        read(tmp_path / "table.csv", Number(), Number())


def test_what_is_no_file_is_one_sentence(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 no")
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "table.xlsx").write_bytes(b"x")
    for name, said in {
        "none.csv": "there is no file",
        "folder.csv": "is a folder",
        "pipe.csv": "is no regular file",
        "table.xlsx": "its name has to end in .csv or .parquet",
        "torn.parquet": "is no Parquet file that can be read",
        "x" * 300 + ".csv": "cannot be read: File name too long",
    }.items():
        with pytest.raises(BadInput, match=said):
            read(tmp_path / name, Number())
