"""A worker that does what it is told, one line at a time, with beats from beside it.

python -m tests.support.beating_worker HOST PORT SECRET
"""

import ctypes
import sys
import threading
import time

from koboshi.heartbeat import Address
from koboshi.heartbeat.beat import Doing
from koboshi.heartbeat.beat_sender import Companion


class Inside(threading.Thread):
    """What beats from inside the interpreter would be: the longest time in which this thread could not run."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest_s = 0.0

    def run(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(0.05)
            self.longest_s = max(self.longest_s, time.monotonic() - last)
            last = time.monotonic()


def main() -> None:
    host, port, secret = sys.argv[1:]
    companion = Companion("w", Address(host, int(port), secret), 0.1)
    inside = Inside()
    inside.start()
    for line in sys.stdin:
        what, _, much = line.strip().partition(" ")
        if what == "hold":  # in C, and with the interpreter's lock, until there is something to read
            companion.tell(Doing("u", 1, "hold"))
            ctypes.PyDLL(None).read(0, ctypes.create_string_buffer(100), 100)
        elif what == "burn":
            companion.tell(Doing("u", 2, "burn"))
            sum(range(int(much)))
        elif what == "close":
            companion.close()
        sys.stdout.write(f"{inside.longest_s} {companion._process.pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
