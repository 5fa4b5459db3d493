from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from koboshi.journal import Journal


def test_events_come_back_in_order_and_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "journal.jsonl")
    assert list(journal.events()) == []
    journal.record("fault", pid=7)
    journal.record("recovery", pid=8)
    assert [(e["event"], e["pid"]) for e in journal.events()] == [("fault", 7), ("recovery", 8)]


def test_a_line_torn_by_a_crash_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.record("fault")
    with journal.path.open("a") as file:
        file.write('{"event": "reco')
    assert [e["event"] for e in journal.events()] == ["fault"]


def test_writers_do_not_mix(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: journal.record("beat", n=n, padding="x" * 2000), range(200)))
    assert sorted(e["n"] for e in journal.events()) == list(range(200))


def test_who_looks_again_reads_only_what_is_new(tmp_path: Path) -> None:
    """A line that is being written is read once it is whole."""
    journal = Journal(tmp_path / "journal.jsonl")
    assert journal.read(0) == ([], 0)
    journal.record("fault")
    events, offset = journal.read(0)
    assert [vars(entry.event)["called"] for entry in events] == ["fault"]
    with journal.path.open("a") as file:
        file.write('{"v": 1, "event": "reco')
    assert journal.read(offset) == ([], offset)
    with journal.path.open("a") as file:
        file.write('very", "at": 1.0, "monotonic": 2.0}\n')
    events, offset = journal.read(offset)
    assert [(vars(entry.event)["called"], entry.at) for entry in events] == [("recovery", 1.0)]
    assert offset == journal.path.stat().st_size
