"""Beats that arrive when the test says so."""

from collections.abc import Sequence

from koboshi.heartbeat import Address, Arrival, Beat


class MemoryBeats:
    def __init__(self) -> None:
        self.address = Address("memory", 0, "secret")
        self.waiting: list[Arrival] = []
        self.now = 0.0
        self.killed: list[str] = []

    def receive(self, data: bytes) -> None:
        if (beat := Beat.from_bytes(data, self.address.secret)) is not None:
            self.waiting.append(Arrival(beat, self.now))

    def arrived(self) -> Sequence[Arrival]:
        found, self.waiting = self.waiting, []
        return found

    def kill(self, worker: str) -> None:
        self.killed.append(worker)

    def close(self) -> None:
        self.waiting = []
