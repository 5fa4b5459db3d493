"""Answers of a load: what came back for each request, and the figures that follow from it. Pure."""

import asyncio
import dataclasses
import itertools
import json
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import aiohttp

from koboshi.drills.drill import Series
from koboshi.proxies import on_loopback
from koboshi.serving.protocol import REPLICA_HEADER, VERSION_HEADER

OK = 200
BEARABLE = 0.8
NEAR_S = 3.0  # a busy client hears late of an answer


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One request and its answer.

    `due_s` is when it was to be sent (wall clock), `took_s` counts from then on, so that a request that had to wait for
    its turn is not fast. `status` is 0 where no answer came; `said` is then the error. `tries` are the gateway's.
    """

    due_s: float
    took_s: float
    status: int
    right: bool
    replica: str = ""
    version: str = ""
    rows: int = 0
    tries: int = 1
    said: str = ""

    @property
    def at_s(self) -> float:
        """When the answer was there."""
        return self.due_s + self.took_s


def failures(answers: Iterable[Answer]) -> Counter[str]:
    """What was said instead of a prediction, and how often."""
    return Counter(f"{answer.status or 'no answer'}: {answer.said}" for answer in answers if answer.status != OK)


def share(answers: Sequence[Answer], replica: str) -> float:
    """The part of some answers that one replica gave; 0 where there are none."""
    return sum(answer.replica == replica for answer in answers) / len(answers) if answers else 0.0


def bearable(answers: Iterable[Answer], wanted: float) -> float:
    """The wanted rate, in answers a second, or less where these came slower than that: then a fifth is kept free."""
    moments = sorted(answer.at_s for answer in answers)
    borne = (len(moments) - 1) / max(moments[-1] - moments[0], 0.001) if moments else wanted
    return wanted if borne >= wanted * BEARABLE else borne * BEARABLE


def percentile_ms(answers: Iterable[Answer], percent: float) -> float:
    """How long the slowest of the fastest `percent` of answers took, in milliseconds to a tenth."""
    took = sorted(answer.took_s for answer in answers)
    return round(took[max(0, math.ceil(len(took) * percent / 100) - 1)] * 1000, 1) if took else 0.0


def per_second(answers: Sequence[Answer], by: Callable[[Answer], str]) -> list[Series]:
    """Answers a second of each kind, and the slowest one of each second; the last, broken second is left out."""
    if not answers:
        return []
    begun = min(answer.due_s for answer in answers)
    seconds: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        seconds[int(answer.at_s - begun)].append(answer)
    kinds, whole = sorted({by(answer) for answer in answers} - {""}), range(max(seconds))
    rates = [
        Series(f"answers of {kind}", "1/s", [(begun + n, float(sum(by(a) == kind for a in seconds[n]))) for n in whole])
        for kind in kinds
    ]
    return [*rates, Series("slowest answer", "ms", [(begun + n, percentile_ms(seconds[n], 100)) for n in whole])]


def silence(answers: Iterable[Answer], replica: str, from_s: float) -> tuple[float, float] | None:
    """The longest time without a prediction of a replica that began near a moment: its last one, and its next one.

    None when it gave no prediction near the moment, or none ever after.
    """
    moments = sorted(answer.at_s for answer in answers if answer.replica == replica and answer.status == OK)
    near = (pair for pair in itertools.pairwise(moments) if abs(pair[0] - from_s) <= NEAR_S)
    return max(near, key=lambda pair: pair[1] - pair[0], default=None)


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

    async def post(self, session: aiohttp.ClientSession, body: bytes) -> tuple[aiohttp.ClientResponse, str]:
        """One request and the text of its answer. This client asks once: what fails is an answer that is lost."""
        async with session.post(self._url, data=body) as answer:
            return answer, await answer.text()

    async def _ask(self, session: aiohttp.ClientSession, question: int, due_s: float) -> None:
        try:
            answer, text = await self.post(session, self._bodies[question])
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
        rows, right = 0, False
        if answer.status == OK:
            with suppress(ValueError, KeyError, TypeError):
                given = json.loads(text)["predictions"]
                rows, expected = len(given), self.expected.get(str(told["version"]))
                right = expected is not None and given == expected[question]
        return {**told, "right": right, "rows": rows, "said": "" if right else " ".join(text.split())[:SHOWN]}
