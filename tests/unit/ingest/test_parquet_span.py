"""The file of a span: everything as it came, the same records give the same bytes."""

import pyarrow.parquet as pq

from koboshi.files import sha256_of
from koboshi.ingest.parquet_audit import read_records
from koboshi.ingest.parquet_span import SCHEMA, write_span
from koboshi.ingest.source import Records
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


def test_no_records_are_a_file_too(tmp_path):
    write_span(tmp_path / "span", Records(), "id")
    assert list(read_records(tmp_path / "span")) == []


def test_the_file_has_the_agreed_schema_and_says_its_format(tmp_path):
    write_span(tmp_path / "span", records(ROWS), "id")
    schema = pq.read_schema(tmp_path / "span")
    assert schema.equals(SCHEMA)
    assert (schema.metadata[b"koboshi.span"], schema.metadata[b"koboshi.topic_id"]) == (b"2", b"id")
