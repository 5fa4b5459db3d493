"""A steady load of predictions: requests are due at fixed moments, whatever became of those before."""

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from koboshi.drills.scenes.answers import OK, Answer, bearable
from koboshi.proxies import on_loopback
from koboshi.serving.protocol import REPLICA_HEADER, VERSION_HEADER

ANSWER_LIMIT_S = 30.0
# So many at once to begin with, then as many as come in a quarter of a second: beyond half a second the gateway tries
# each a second time, and a machine that is too busy for the rate would get twice the work instead of a longer load.
AT_ONCE, AT_ONCE_S = 8, 0.25
SHOWN = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Questions:
    """What is asked (bodies of requests), and by version what is the right answer to each, to the bit."""

    bodies: Sequence[bytes]
    expected: Mapping[str, Sequence[list[Any]]]


class Load:
    """Asks one question after another, `rate` a second, on a thread of its own, until it is told to stop."""

    def __init__(self, url: str, questions: Questions, rate: float) -> None:
        """`url` is the gateway's. `answers` grows in the order in which answers come, and is never changed."""
        self.answers: list[Answer] = []
        self.expected = dict(questions.expected)
        self._url, self._bodies, self._rate = f"{url.rstrip('/')}/invocations", questions.bodies, rate
        self._stopping = threading.Event()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._thread = threading.Thread(target=self._run_loop, name="load", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def settle(self, last: int) -> float:
        """Ask from now on at a rate that the machine can bear, as the last answers show; that rate.

        So a busy machine gets a longer load, not an endless queue. What is due and has no turn waits, and that counts.
        """
        rate = bearable(self.answers[-last:], self._rate)
        self._loop.call_soon_threadsafe(self._go_on, rate)
        return rate

    def stop(self) -> None:
        """Ask nothing more, and wait for the answers that are still due; each comes, or fails, in a bounded time."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(ANSWER_LIMIT_S + 10)

    def _run_loop(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._run())

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S)
        headers = {"Content-Type": "application/json"}
        trust = not on_loopback(self._url)  # its proxies are those of the environment, but not for this machine
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=headers, trust_env=trust
        ) as session:
            self._due_s, number = time.time(), 0
            async with asyncio.TaskGroup() as asked:
                while not self._stopping.is_set():
                    await asyncio.sleep(max(0.0, self._due_s - time.time()))
                    await self._turns.acquire()
                    task = asked.create_task(self._ask(session, number % len(self._bodies), self._due_s))
                    self._due_s += 1 / self._rate
                    task.add_done_callback(lambda _task: self._turns.release())
                    number += 1

    def _go_on(self, rate: float) -> None:
        self._rate, self._due_s = rate, time.time()
        for _ in range(int(rate * AT_ONCE_S) - AT_ONCE):
            self._turns.release()

    async def _ask(self, session: aiohttp.ClientSession, question: int, due_s: float) -> None:
        try:
            async with session.post(self._url, data=self._bodies[question]) as answer:
                text = await answer.text()
            read = self._read(question, answer, text)
        except (aiohttp.ClientError, TimeoutError) as error:
            read = {"status": 0, "right": False, "said": f"{type(error).__name__} {error}".strip()[:SHOWN]}
        self.answers.append(Answer(due_s=due_s, took_s=time.time() - due_s, **read))

    def _read(self, question: int, answer: aiohttp.ClientResponse, text: str) -> dict[str, Any]:
        headers = answer.headers
        told = {
            "status": answer.status,
            "replica": headers.get(REPLICA_HEADER, ""),
            "version": headers.get(VERSION_HEADER, ""),
            "tries": int(headers.get("x-envoy-attempt-count", 1)),
        }
        if answer.status != OK:
            return {**told, "right": False, "said": _brief(text)}
        try:
            given = json.loads(text)["predictions"]
            rows = len(given)
        except (ValueError, KeyError, TypeError):
            return {**told, "right": False, "said": _brief(text)}
        expected = self.expected.get(str(told["version"]))
        right = expected is not None and given == expected[question]
        return {**told, "right": right, "rows": rows, "said": "" if right else _brief(text)}


def _brief(text: str) -> str:
    """The beginning, in one line."""
    return " ".join(text.split())[:SHOWN]
