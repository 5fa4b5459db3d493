"""How a drill watches: until something is so, or again and again beside its other work."""

import threading
import time
from collections.abc import Callable

LOOK_S = 0.1


def eventually(
    question: Callable[[], object],
    within_s: float,
    *,
    look_s: float = LOOK_S,
    over: Callable[[], bool] = lambda: False,
) -> bool:
    """Whether the answer became yes in time; no as soon as it is `over`, when it can come no more."""
    deadline = time.monotonic() + within_s
    while not question():
        if over() or time.monotonic() > deadline:
            return False
        time.sleep(look_s)
    return True


class Watch:
    """Looks again and again, on a thread of its own."""

    def __init__(self, look: Callable[[], None], every_s: float) -> None:
        """Nothing is looked at yet."""
        self._glance, self._every_s = look, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drill-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look once more, then no more; nothing where it has not begun."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._glance()
        self._glance()
