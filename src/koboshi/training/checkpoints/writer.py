"""Takes a unit's states to the store, one at a time: a store that is full or slow costs safety, not time."""

import dataclasses
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait

from koboshi.errors import Transient
from koboshi.refs import CheckpointRef

PATIENCE_S = 1.0  # how long a step waits for a file; a store that once took longer is not waited for again
JUDGED_BY = 3  # the quickest of so many writes is what a write usually takes: one late write says nothing
LAST_PATIENCE_S = 20.0  # the same for a unit's last step, which has nothing to go on with meanwhile
BACKOFF_S = (0.5, 30.0)  # from one failed try to the next: the first pause and the longest


@dataclasses.dataclass(frozen=True, slots=True)
class Saved:
    """What became of a state.

    `checkpoint` is the newest one that is durable and was not told of before, perhaps an earlier step's; `at_risk` is
    how many of the newest steps are not durable, and `trouble` why, unless the store is just at it.
    """

    checkpoint: CheckpointRef | None
    at_risk: int
    trouble: str


class CheckpointWriter:
    """At most one write is under way. While one is, or after one failed, states are skipped: the next one holds them.

    Under a crash of the worker the steps at risk are lost, and done again from the newest durable one.
    """

    def __init__(self, executor: Executor | None = None) -> None:
        """`executor` does the writes, in turn; by default a thread of its own."""
        self._executor = executor or ThreadPoolExecutor(1, "checkpoints")
        self._latest_s = deque[float](maxlen=JUDGED_BY)
        self.take_up(0)

    def take_up(self, step: int) -> None:
        """Begin with a unit whose step `step` is durable; a write of before is not asked about any more."""
        self._durable = step
        self._news: CheckpointRef | None = None
        self._flight: Future[tuple[CheckpointRef, float]] | None = None
        self._slow, self._failures, self._not_before, self._trouble = False, 0, 0.0, ""

    def at_risk(self, step: int) -> int:
        """How many steps up to `step` are not durable, as far as is known."""
        return max(0, step - self._durable)

    def save(
        self,
        step: int,
        dump: Callable[[], bytes],
        write: Callable[[bytes], CheckpointRef],
        *,
        worth_s: float = PATIENCE_S,
        last: bool = False,
    ) -> Saved:
        """Bring the state after `step` on its way, and wait for it where that is usually over within `worth_s`.

        Otherwise it is written beside the next step, and the next state waits for it, unless the store is slow: of a
        store that keeps up, at most one step is at risk beside the one in hand. `last` waits, and tries again. Raises
        what `write` raises, at the latest when the next state is saved, unless it is `Transient`.
        """
        self._wait(0.0 if self._slow else PATIENCE_S)
        if self._flight is None and time.monotonic() >= self._not_before:
            self._begin(dump, write)
            if len(self._latest_s) < JUDGED_BY or min(self._latest_s) <= worth_s:
                self._wait(0.0 if self._slow else PATIENCE_S)
        if last:
            self._insist(step, dump, write)
        news, self._news = self._news, None
        return Saved(news, self.at_risk(step), self._trouble if self.at_risk(step) else "")

    def _insist(self, step: int, dump: Callable[[], bytes], write: Callable[[bytes], CheckpointRef]) -> None:
        until = time.monotonic() + LAST_PATIENCE_S
        while self.at_risk(step) and (left := until - time.monotonic()) > 0:
            if self._flight is None:
                time.sleep(min(left, max(0.0, self._not_before - time.monotonic())))
                self._begin(dump, write)
            self._wait(left)

    def _begin(self, dump: Callable[[], bytes], write: Callable[[bytes], CheckpointRef]) -> None:
        state = dump()

        def timed() -> tuple[CheckpointRef, float]:
            began = time.monotonic()
            return write(state), time.monotonic() - began

        self._flight = self._executor.submit(timed)

    def _wait(self, timeout_s: float) -> None:
        if self._flight is None:
            return
        if not wait([self._flight], timeout_s).done:
            self._slow, self._trouble = True, f"the checkpoint store takes longer than {PATIENCE_S:g} s to write"
            return
        flight, self._flight = self._flight, None
        try:
            checkpoint, seconds = flight.result()
        except Transient as error:
            self._failures += 1
            first, longest = BACKOFF_S
            self._not_before = time.monotonic() + min(longest, first * 2 ** (self._failures - 1))
            self._trouble = str(error)
        else:
            self._durable, self._news = checkpoint.step, checkpoint
            self._latest_s.append(seconds)
            self._slow, self._failures, self._not_before, self._trouble = seconds > PATIENCE_S, 0, 0.0, ""
