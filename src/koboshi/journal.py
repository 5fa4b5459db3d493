"""The journal: what happened (faults, suspicions, recoveries), append-only, for people and for proofs.

One JSON object a line. It is never read to decide anything; losing it loses no data. `emit` is a sink of events, and
`entries` and `read` give them back; `record` and `events` are the same without their types, for programs that write
down what koboshi has no event for.
"""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from koboshi.errors import BadInput
from koboshi.events import Event, read_event
from koboshi.files import naming_disk_failures

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """An event, and when it was written: `at` is seconds since 1970, `monotonic` the machine's monotonic clock."""

    event: Event
    at: float
    monotonic: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Journal:
    """Appends events to one file. A line is one write on an O_APPEND descriptor, so writers do not mix."""

    path: Path

    def emit(self, event: Event) -> None:
        """Append an event: see `record`."""
        self.record(event.name, **event.facts)

    def entries(self) -> Iterator[Entry]:
        """The events so far: see `events`."""
        return map(_entry, self.events())

    def record(self, event: str, **facts: Any) -> None:
        """Append an event with the wall clock (`at`, seconds since 1970) and the machine's monotonic clock.

        Raises `DiskFailed`: where a journal cannot be written, nothing else can either.
        """
        line = {"v": FORMAT_VERSION, "event": event, "at": time.time(), "monotonic": time.monotonic(), **facts}
        with naming_disk_failures(self.path):
            self._append(json.dumps(line).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as file:
            file.write(line)

    def events(self) -> Iterator[dict[str, Any]]:
        """The events so far, oldest first; a last line torn by a crash is left out.

        Raises `BadInput` for an event of a newer format.
        """
        return iter(self._lines(0)[0])

    def read(self, offset: int) -> tuple[list[Entry], int]:
        """The events from a byte on, and from which byte to read on later: for who looks again and again.

        Raises `BadInput` for an event of a newer format.
        """
        lines, end = self._lines(offset)
        return list(map(_entry, lines)), end

    def _lines(self, offset: int) -> tuple[list[dict[str, Any]], int]:
        if not self.path.exists():
            return [], offset
        with self.path.open("rb") as file:
            file.seek(offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        return [self._read(line) for line in whole.decode().splitlines()], offset + len(whole)

    def _read(self, line: str) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(line)
        if event["v"] > FORMAT_VERSION:
            raise BadInput(
                f"{self.path} has format {event['v']}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi."
            )
        return event


def _entry(line: dict[str, Any]) -> Entry:
    return Entry(read_event(line["event"], line), line["at"], line["monotonic"])
