import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from koboshi.datasets import pinning, span_records
from koboshi.datasets.pinning import NothingLanded, pin
from koboshi.errors import Conflict, Corrupt
from koboshi.formats.cut import Cut
from koboshi.ledger import Ledger
from tests.support.landing import land, report, transaction

RECORDS = [transaction(number, "2018-06-18T10:00:00") for number in range(9)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield ledger
    ledger.close()


def test_pinning_twice_moves_once_and_leaves_the_file_alone(ledger: Ledger, tmp_path: Path) -> None:
    land(ledger, tmp_path, "transactions", 0, RECORDS, borders=[4])
    land(ledger, tmp_path, "fraud-reports", 1, [report(1, "2018-06-20T10:00:00")])
    path, topics = tmp_path / "cut.json", ("transactions", "fraud-reports")
    first, moved = pin(ledger, tmp_path, topics, path)
    assert moved
    before = path.stat()
    assert pin(ledger, tmp_path, topics, path) == (first, False)
    assert os.path.samestat(path.stat(), before)
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_what_is_only_planned_is_not_pinned(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(NothingLanded, match="no span was landed yet"):
        pin(ledger, tmp_path, ("transactions",), tmp_path / "cut.json")
    assert not (tmp_path / "cut.json").exists()


def test_a_clone_with_other_spans_goes_on_from_the_committed_cut(tmp_path: Path) -> None:
    """The pinned end lies inside its second span, so that span is read, and its bytes are verified first (I2)."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ledgers = [Ledger(f"sqlite:///{folder}/ledger.db") for folder in (ours, theirs)]
    path = tmp_path / "cut.json"
    land(ledgers[0], ours, "transactions", 0, RECORDS[:5])
    pin(ledgers[0], ours, ("transactions",), path)
    spans = land(ledgers[1], theirs, "transactions", 0, RECORDS, borders=[3])
    file = theirs / spans[1].path
    intact = file.read_bytes()
    file.write_bytes(intact[:-1] + bytes([intact[-1] ^ 1]))
    with pytest.raises(Corrupt, match=f"the landed span {file} .*koboshi ingest repair"):
        pin(ledgers[1], theirs, ("transactions",), path)
    file.write_bytes(intact)
    moved, did_move = pin(ledgers[1], theirs, ("transactions",), path)
    assert did_move
    assert moved.topics["transactions"][0].end == 9


def test_a_slow_pin_cannot_undo_a_later_one(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once: the second waits, so the cut never goes back."""
    land(ledger, tmp_path, "transactions", 0, RECORDS[:4])
    path = tmp_path / "cut.json"
    inside, go_on = threading.Event(), threading.Event()
    original = pinning.cut.write

    def write(target: Path, cut: Cut) -> None:
        if not inside.is_set():
            inside.set()
            assert go_on.wait(10)
        original(target, cut)

    monkeypatch.setattr(pinning.cut, "write", write)
    first = threading.Thread(target=pin, args=(ledger, tmp_path, ("transactions",), path))
    first.start()
    assert inside.wait(10)
    land(ledger, tmp_path, "transactions", 0, RECORDS[4:], start=4)
    second = threading.Thread(target=pin, args=(ledger, tmp_path, ("transactions",), path))
    second.start()
    second.join(0.3)
    assert second.is_alive(), "it did not wait"
    go_on.set()
    first.join(10)
    second.join(10)
    pinned = pinning.cut.read(path)
    assert pinned is not None
    assert pinned.topics["transactions"][0].end == 9


class TestReading:
    def pinned(self, ledger: Ledger, tmp_path: Path) -> Cut:
        return pin(ledger, tmp_path, ("transactions",), tmp_path / "cut.json")[0]

    def test_batches_hold_the_records_of_the_cut_and_no_later_ones(self, ledger: Ledger, tmp_path: Path) -> None:
        land(ledger, tmp_path, "transactions", 0, RECORDS[:5])
        cut = self.pinned(ledger, tmp_path)
        other = Ledger(f"sqlite:///{tmp_path / 'other' / 'ledger.db'}")
        land(other, tmp_path / "other", "transactions", 0, RECORDS, borders=[3])
        batches = list(span_records.read(other, tmp_path / "other", cut))
        assert [offset for batch in batches for offset in batch.offsets] == [0, 1, 2, 3, 4]
        assert [value for batch in batches for value in batch.values] == [value for _, value in RECORDS[:5]]

    def test_a_flipped_byte_in_a_span_is_found_before_use_and_named(self, ledger: Ledger, tmp_path: Path) -> None:
        """I2, at every byte of the file's length that a stride of 97 meets."""
        (span,) = land(ledger, tmp_path, "transactions", 0, RECORDS)
        cut = self.pinned(ledger, tmp_path)
        path = tmp_path / span.path
        intact = path.read_bytes()
        for place in range(0, len(intact), 97):
            path.write_bytes(intact[:place] + bytes([intact[place] ^ 0x10]) + intact[place + 1 :])
            with pytest.raises(Corrupt, match=f"{path} .*run `koboshi ingest repair`"):
                list(span_records.read(ledger, tmp_path, cut))
        path.unlink()
        with pytest.raises(Corrupt, match="is missing"):
            list(span_records.read(ledger, tmp_path, cut))

    def test_spans_that_hold_other_records_than_the_cut_pins_are_refused(self, ledger: Ledger, tmp_path: Path) -> None:
        land(ledger, tmp_path, "transactions", 0, RECORDS)
        cut = self.pinned(ledger, tmp_path)
        other = Ledger(f"sqlite:///{tmp_path / 'other' / 'ledger.db'}")
        land(other, tmp_path / "other", "transactions", 0, [*RECORDS[:8], transaction(99, "2018-06-18T10:00:00")])
        with pytest.raises(Corrupt, match=r"not those that cut\.json pins"):
            list(span_records.read(other, tmp_path / "other", cut))

    def test_spans_that_do_not_reach_the_cut_are_refused(self, ledger: Ledger, tmp_path: Path) -> None:
        land(ledger, tmp_path, "transactions", 0, RECORDS)
        cut = self.pinned(ledger, tmp_path)
        other = Ledger(f"sqlite:///{tmp_path / 'other' / 'ledger.db'}")
        with pytest.raises(Conflict, match="pinned up to 9, but landed up to 0"):
            list(span_records.read(other, tmp_path / "other", cut))
        land(other, tmp_path / "other", "transactions", 0, RECORDS[3:], start=3)
        with pytest.raises(Conflict, match="landed up to 0"):
            list(span_records.read(other, tmp_path / "other", cut))
