"""Beats as they really arrive: from processes that burn both cores, by the room's own senders and listener."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from koboshi.heartbeat.udp_beats import UdpBeats

INTERVAL_S = 0.5
LOOK_S = 0.1
TOLD_S = 60.0
PATIENCE_S = 120.0  # for what a machine that is busy with other things has to do first
LEAST = 2  # beats of each worker: an interval
BURN = """
import sys
from koboshi.heartbeat.beat import Address
from koboshi.heartbeat.beat_sender import Companion
companion = Companion(sys.argv[1], Address("127.0.0.1", int(sys.argv[2]), sys.argv[3]), float(sys.argv[4]))
try:
    while True:
        sum(range(3_000_000))
finally:
    companion.close()
"""


def record(workers: int, seconds: float, say: Callable[[str], None]) -> list[list[float]]:
    """For each worker the times at which its beats arrived, in seconds since its first one.

    `seconds` count from when each worker was heard, and go on until each has beaten twice; `TimeoutError` when that
    takes `PATIENCE_S`.
    """
    beats, heard = UdpBeats(), {f"w{number}": list[float]() for number in range(workers)}
    address = beats.address
    words = [str(address.port), address.secret, str(INTERVAL_S)]
    processes = [subprocess.Popen([sys.executable, "-c", BURN, name, *words]) for name in heard]
    try:
        _listen(beats, heard, lambda: all(heard.values()), say)
        end = time.monotonic() + seconds
        _listen(beats, heard, lambda: time.monotonic() >= end, say, seconds + PATIENCE_S)
        _listen(beats, heard, lambda: all(len(times) >= LEAST for times in heard.values()), say)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        beats.close()
    return [[at - times[0] for at in times] for times in heard.values()]


def _listen(
    beats: UdpBeats,
    heard: dict[str, list[float]],
    is_over: Callable[[], bool],
    say: Callable[[str], None],
    within_s: float = PATIENCE_S,
) -> None:
    began = told = time.monotonic()
    while not is_over():
        time.sleep(LOOK_S)
        for arrival in beats.arrived():
            heard[arrival.beat.worker].append(arrival.at_s)
        counts = f"{sum(map(len, heard.values())):,} beats heard in {time.monotonic() - began:.0f} s"
        if time.monotonic() - began > within_s:
            raise TimeoutError(f"{counts}, not those of every worker: {[len(times) for times in heard.values()]}")
        if time.monotonic() - told > TOLD_S:
            told = time.monotonic()
            say(counts)


def intervals(times: Sequence[float]) -> list[float]:
    """From one beat to the next."""
    return [after - before for before, after in itertools.pairwise(times)]
