"""The file of a span: everything as it came, the same records give the same bytes."""

import pyarrow.parquet as pq
import pytest

from koboshi.files import sha256_of
from koboshi.formats.parquet_span import read_span, schema_of, write_span
from koboshi.formats.records import Records
from koboshi.ingest.parquet_audit import read_records
from tests.support.memory_stream import record

ROWS = [record(offset) for offset in range(200)]


def records(rows):
    return Records(*(list(column) for column in zip(*rows, strict=True)))


def test_records_come_back_as_they_were(tmp_path):
    """Missing keys, values and headers too; read with the audit's own reader."""
    write_span(tmp_path / "span", records(ROWS), "id")
    assert list(read_records(tmp_path / "span")) == ROWS


def test_the_same_records_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_span(tmp_path / name, records(ROWS), "id")
    assert sha256_of(tmp_path / "one") == sha256_of(tmp_path / "two")


ANY_NAME = [
    (0, 5, b"k", b"v", [(b"\xff\xfe", b"x"), (b"a", None), (b"a", b"twice"), (b"", b"")]),
    (1, 6, None, None, []),
]


def test_names_of_headers_are_any_bytes(tmp_path):
    write_span(tmp_path / "span", records(ANY_NAME), "id")
    assert list(read_records(tmp_path / "span")) == ANY_NAME


@pytest.mark.parametrize("span_format", [1, 2])
def test_files_of_earlier_formats_give_the_same_records(tmp_path, span_format):
    """Where names of headers are text."""
    write_span(tmp_path / "span", records(ROWS), "id", span_format)
    assert list(read_records(tmp_path / "span")) == ROWS
    assert read_span(tmp_path / "span").topic_id == (None if span_format == 1 else "id")


def test_the_audit_reads_a_name_up_to_its_first_zero_byte(tmp_path):
    """So far librdkafka hands it out; the file has all of it."""
    write_span(tmp_path / "span", records([(0, 5, b"k", b"v", [(b"a\0b", b"x")])]), "id")
    assert next(read_records(tmp_path / "span"))[4] == [(b"a", b"x")]
    assert pq.read_table(tmp_path / "span")["headers"].to_pylist() == [[{"name": b"a\0b", "value": b"x"}]]


def test_no_records_are_a_file_too(tmp_path):
    write_span(tmp_path / "span", Records(), "id")
    assert list(read_records(tmp_path / "span")) == []


def test_the_file_has_the_agreed_schema_and_says_its_format(tmp_path):
    write_span(tmp_path / "span", records(ROWS), "id")
    schema = pq.read_schema(tmp_path / "span")
    assert schema.equals(schema_of("id"))
    assert (schema.metadata[b"koboshi.span"], schema.metadata[b"koboshi.topic_id"]) == (b"3", b"id")
