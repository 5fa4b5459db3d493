"""What a crash leaves is swept, what a disk breaks is mended, and nothing else is touched."""

import os
import time

import pytest

from koboshi.errors import Conflict
from koboshi.files import TEMPORARY_PREFIX
from koboshi.formats.parquet_span import write_span
from koboshi.ingest import landing
from koboshi.ingest.landing import broken_spans, repair_topic
from koboshi.ingest.stray_files import GRACE_S, sweep
from koboshi.ledger import spans


@pytest.fixture
def landed(lander):
    return lander.land_topic("t")


def leave(folder, name, age_s):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"left behind")
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


def test_orphans_are_swept_after_the_grace_time_only(lander, landed, ledger, tmp_path):
    """A file that a row names stays, however old; a young one may still be written by a slower lander."""
    folder = tmp_path / "spans/t/0"
    old = [leave(folder, f"{TEMPORARY_PREFIX}dead", GRACE_S + 9), leave(folder, "0-10-other.parquet", GRACE_S + 9)]
    young = leave(folder, f"{TEMPORARY_PREFIX}alive", GRACE_S - 9)
    for span in landed:
        os.utime(tmp_path / span.path, (0, 0))
    assert sorted(sweep(ledger, tmp_path, "t", int(folder.name))) == sorted(old)
    assert young.exists()
    assert broken_spans(lander, "t") == []


def test_a_run_sweeps(lander, tmp_path):
    orphan = leave(tmp_path / "spans/t/0", f"{TEMPORARY_PREFIX}dead", GRACE_S + 9)
    lander.land_topic("t")
    assert not orphan.exists()


@pytest.mark.parametrize("harm", ["lost", "flipped"])
def test_a_broken_file_is_put_back_from_the_broker(lander, landed, tmp_path, harm):
    """The row says what the bytes must be; no row changes."""
    rows = spans.committed(lander.ledger, "t")
    path = tmp_path / landed[1].path
    good = path.read_bytes()
    path.unlink() if harm == "lost" else path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    assert broken_spans(lander, "t") == [landed[1]]
    assert list(repair_topic(lander, "t")) == [landed[1]]
    assert path.read_bytes() == good
    assert spans.committed(lander.ledger, "t") == rows


def test_other_records_are_not_taken_for_the_lost_ones(lander, landed, stream, tmp_path):
    """The broker gives something else: refused, and nothing is left behind."""
    (tmp_path / landed[1].path).unlink()
    stream.partitions["t"][0][12] = (12, 0, b"k", b"other", [])
    before = sorted(tmp_path.rglob("*.parquet"))
    with pytest.raises(Conflict, match="other records than were landed"):
        list(repair_topic(lander, "t"))
    assert sorted(tmp_path.rglob("*.parquet")) == before


def test_records_that_the_broker_has_no_more_cannot_be_put_back(lander, landed, stream, tmp_path):
    (tmp_path / landed[0].path).unlink()
    stream.expire("t", 0, 5)
    with pytest.raises(Conflict):
        list(repair_topic(lander, "t"))


def test_a_span_that_was_compacted_away_is_not_put_back_as_something_else(lander, landed, stream, tmp_path):
    """The row says what the bytes must be: a backup has them, the broker has them no longer."""
    (tmp_path / landed[0].path).unlink()
    stream.compact("t", 0, before=20)
    with pytest.raises(Conflict, match="gives other records than were landed; take it from a backup"):
        list(repair_topic(lander, "t"))
    assert list((tmp_path / landed[0].path).parent.glob("0-10-*")) == []


def test_the_same_records_in_other_bytes_are_told_apart(lander, landed, tmp_path, monkeypatch):
    """Another version of the library writes other bytes: said so, as the records are not at fault."""
    (tmp_path / landed[0].path).unlink()

    def write_otherwise(path, rows, topic_id, span_format):
        write_span(path, rows, topic_id, span_format)
        path.write_bytes(path.read_bytes() + b"x")

    monkeypatch.setattr(landing, "write_span", write_otherwise)
    with pytest.raises(Conflict, match="to the byte by this version"):
        list(repair_topic(lander, "t"))


def land_in(span_format, lander, monkeypatch):
    """As a koboshi landed that knew no later format."""

    def write(path, rows, topic_id, _format):
        write_span(path, rows, topic_id, span_format)

    with monkeypatch.context() as earlier:
        earlier.setattr(landing, "write_span", write)
        return lander.land_topic("t")


@pytest.mark.parametrize("span_format", [1, 2])
def test_a_span_of_an_earlier_format_is_put_back_to_the_byte(lander, tmp_path, monkeypatch, span_format):
    """Landed when files did not say which topic they are of, or had names of headers as text."""
    landed = land_in(span_format, lander, monkeypatch)
    path = tmp_path / landed[0].path
    good = path.read_bytes()
    path.unlink()
    assert list(repair_topic(lander, "t")) == [landed[0]]
    assert path.read_bytes() == good
    assert [file.name for file in path.parent.glob("0-*")] == [path.name]


def test_a_name_that_no_earlier_format_could_hold_is_another_record(lander, stream, tmp_path, monkeypatch):
    """The broker gives a header that is not UTF-8 where text was landed: refused in a sentence, as any other record."""
    landed = land_in(2, lander, monkeypatch)
    (tmp_path / landed[0].path).unlink()
    stream.partitions["t"][0][3] = (*stream.partitions["t"][0][3][:4], [(b"\xff\xfe", b"x")])
    with pytest.raises(Conflict, match="cannot be made again"):
        list(repair_topic(lander, "t"))
    assert not list((tmp_path / landed[0].path).parent.glob("0-10-*"))
