"""The drill's lander, whose source decodes on the way and leaves out what it cannot: the control's only change."""

import json
from collections.abc import Iterator

from koboshi.drills.ingest import lander_run
from koboshi.exits import run_and_exit
from koboshi.formats.records import Records
from koboshi.refs import SpanRange


class DecodingSource(lander_run.TellingSource):
    def read(self, span: SpanRange) -> Iterator[Records]:
        for records in super().read(span):
            kept = [index for index, value in enumerate(records.values) if can_be_read(value)]
            columns = (records.offsets, records.timestamps_ms, records.keys, records.values, records.headers)
            yield Records(*([column[index] for index in kept] for column in columns))  # type: ignore[arg-type]


def can_be_read(value: bytes | None) -> bool:
    try:
        json.loads(value or b"")
    except ValueError:
        return False
    return True


lander_run.TellingSource = DecodingSource  # type: ignore[misc]

if __name__ == "__main__":
    run_and_exit(lander_run.main, "lander")
