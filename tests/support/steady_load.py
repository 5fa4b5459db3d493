"""Predictions asked for at a steady pace, each answer looked at."""

import dataclasses
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any

import httpx

from koboshi.orchestration.gateway_answers import REPLICA_HEADER, VERSION_HEADER

CLIENTS = 4


@dataclasses.dataclass
class SteadyLoad:
    """Asks the same question `rate` times a second until the block ends.

    `failures` has what was not a 200, and every answer that differs from the first one of the same model version.
    """

    url: str
    question: Any
    rate: float = 40.0
    answered: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    replicas: Counter[str] = dataclasses.field(default_factory=Counter)
    slowest_s: float = 0.0

    def __enter__(self) -> "SteadyLoad":
        """Begin."""
        self._first: dict[str, Any] = {}
        self._ended, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End, and wait for what is under way."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def shares(self, seconds: float) -> Counter[str]:
        """How many answers each replica gives in the next seconds."""
        before = self._replicas()
        self._ended.wait(seconds)
        return self._replicas() - before

    def _replicas(self) -> Counter[str]:
        with self._lock:
            return self.replicas.copy()

    def _ask_on(self) -> None:
        with httpx.Client(base_url=self.url, timeout=20.0) as client:
            while not self._ended.wait(CLIENTS / self.rate):
                begun = time.monotonic()
                try:
                    self._judge(client.post("/invocations", json=self.question), time.monotonic() - begun)
                except httpx.TransportError as error:
                    self.failures.append(repr(error))

    def _judge(self, answer: httpx.Response, took_s: float) -> None:
        with self._lock:
            if answer.status_code != 200:
                self.failures.append(f"{answer.status_code} {answer.text[:200]}")
                return
            expected = self._first.setdefault(answer.headers[VERSION_HEADER], answer.json())
            if answer.json() != expected:
                self.failures.append(f"another answer by {answer.headers[REPLICA_HEADER]}: {answer.text[:200]}")
            self.answered += 1
            self.replicas[answer.headers[REPLICA_HEADER]] += 1
            self.slowest_s = max(self.slowest_s, took_s)
