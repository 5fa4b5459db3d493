"""A ledger that is not there, empty or half there, beside span files: refused, and everything stays for a rebuild."""

import os
import sqlite3
import time
from pathlib import Path

import pytest

from koboshi.errors import Conflict, Corrupt
from koboshi.ingest.stray_files import GRACE_S, open_ledger
from koboshi.ledger import Ledger, leases, spans, sqlite_dialect
from koboshi.ledger.leases import Lease
from koboshi.refs import SpanRange
from tests.support.landing import Record, land, record

RECORDS: list[Record] = [record(number, value=number) for number in range(20)]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def landed(url: str, tmp_path: Path) -> list[Path]:
    """Two spans, old enough to be swept where no row names them."""
    ledger = Ledger(url)
    made = [tmp_path / span.path for span in land(ledger, tmp_path, "orders", 0, RECORDS, borders=(10,))]
    ledger.close()
    for path in made:
        os.utime(path, (0, time.time() - 2 * GRACE_S))
    return made


def lose(tmp_path: Path, how: str) -> None:
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    if how == "empty":
        (tmp_path / "ledger.db").touch()
    if how == "begun":
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").close()


@pytest.mark.parametrize("how", ["absent", "empty", "begun"])
def test_it_is_refused_and_the_remedy_named(url: str, tmp_path: Path, landed: list[Path], how: str) -> None:
    """Nothing is begun in its place: the file is there or not as before."""
    lose(tmp_path, how)
    before = {path.name: path.stat().st_size for path in tmp_path.glob("ledger.db")}
    with pytest.raises(Conflict, match=r"spans/orders/0 has landed spans .* run `koboshi ledger rebuild`"):
        open_ledger(url, tmp_path)
    assert {path.name: path.stat().st_size for path in tmp_path.glob("ledger.db")} == before
    assert all(path.exists() for path in landed)


def test_without_span_files_a_ledger_is_begun(url: str, tmp_path: Path) -> None:
    """A new project, and one whose first landing was killed while it wrote its file: the plan is a row by then."""
    ledger = open_ledger(url, tmp_path)
    spans.plan(ledger, a_lease(ledger), [SpanRange("orders", "id", 0, 0, 10)])
    orphan = tmp_path / "spans" / "orders" / "0" / "0-10-0123456789abcdef.parquet"
    orphan.parent.mkdir(parents=True)
    orphan.touch()
    ledger.close()
    assert spans.topics(open_ledger(url, tmp_path)) == ["orders"]


def a_lease(ledger: Ledger) -> Lease:
    return leases.acquire(ledger, "land/orders/0", "test", ttl_s=60)


def test_a_file_that_is_half_there_is_damaged_and_quarantined(url: str, tmp_path: Path, landed: list[Path]) -> None:
    """Wherever it is cut, it is never taken for a ledger with fewer rows; less than a page is as good as nothing."""
    file = tmp_path / "ledger.db"
    whole = file.read_bytes()
    for size in (1, 50, 100, 4095, 4096, 8192, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises((Corrupt, Conflict), match="run `koboshi ledger rebuild`"):
            spans.committed(open_ledger(url, tmp_path), "orders")
    (tmp_path / "ledger.db-wal").write_bytes(b"left behind")
    kept = sqlite_dialect.quarantine(url)
    assert kept.read_bytes() == whole[: len(whole) - 1]
    assert list(tmp_path.glob("ledger.db")) == list(tmp_path.glob("ledger.db-wal")) == []


def test_all_rows_are_read_of_a_whole_file(url: str, tmp_path: Path, landed: list[Path]) -> None:
    assert len(spans.committed(open_ledger(url, tmp_path), "orders")) == 2
    assert sqlite3.connect(tmp_path / "ledger.db").execute("PRAGMA quick_check").fetchone() == ("ok",)


def test_a_ledger_for_other_topics_is_begun_beside_them(url: str, tmp_path: Path, landed: list[Path]) -> None:
    """As a drill does, in a stack whose owner has landed spans; for its own topics the refusal stands."""
    lose(tmp_path, "absent")
    assert spans.topics(open_ledger(url, tmp_path, ["drill-1"])) == []
    with pytest.raises(Conflict, match="run `koboshi ledger rebuild`"):
        open_ledger(url, tmp_path, ["drill-1", "orders"])
    assert all(path.exists() for path in landed)
