"""What the poison drill is lent: what is meant of each record is what the project's own code makes of it."""

from collections import Counter
from pathlib import Path

from koboshi.datasets.span_records import RawBatch
from koboshi.drills.ingest.poison_records import miscounted
from koboshi.drills.workload import SOUND, lent
from pipelines.decoding import LARGEST_BYTES


def test_each_record_becomes_what_it_is_meant_to_become(tmp_path: Path) -> None:
    stream = lent("stream", "pipelines.drill_stream:WORKLOAD")
    meant = stream.records(60, LARGEST_BYTES)
    keys, values = [record.key for record in meant], [record.value for record in meant]
    decoded = stream.decode([RawBatch("drill-1", 0, range(len(meant)), keys, values)], tmp_path)
    assert list(miscounted({(0, offset): record for offset, record in enumerate(meant)}, decoded)) == []
    kinds = Counter(record.kind for record in meant)
    assert kinds == {SOUND: 60, "undecodable": 5, "wrong schema": 4, "oversized": 1, "duplicate": 3}
