"""Beats as they really arrive: from processes that burn both cores, by the room's own senders and listener."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from koboshi.heartbeat.udp_beats import UdpBeats

INTERVAL_S = 0.5
LOOK_S = 0.1
BURN = """
import sys
from koboshi.heartbeat.beat import Address
from koboshi.heartbeat.companion import Companion
companion = Companion(sys.argv[1], Address("127.0.0.1", int(sys.argv[2]), sys.argv[3]), float(sys.argv[4]))
try:
    while True:
        sum(range(3_000_000))
finally:
    companion.close()
"""


def record(workers: int, seconds: float, say: Callable[[str], None]) -> list[list[float]]:
    """For each worker the times at which its beats arrived, in seconds since its first one."""
    beats, heard = UdpBeats(), {f"w{number}": list[float]() for number in range(workers)}
    address = beats.address
    words = [str(address.port), address.secret, str(INTERVAL_S)]
    processes = [subprocess.Popen([sys.executable, "-c", BURN, name, *words]) for name in heard]
    try:
        _listen(beats, heard, time.monotonic() + seconds, say)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        beats.close()
    return [[at - times[0] for at in times] for times in heard.values() if times]


def _listen(beats: UdpBeats, heard: dict[str, list[float]], until: float, say: Callable[[str], None]) -> None:
    told = time.monotonic()
    while (now := time.monotonic()) < until:
        time.sleep(LOOK_S)
        for arrival in beats.arrived():
            heard[arrival.beat.worker].append(arrival.at_s)
        if now - told > 60:
            told = now
            say(f"{sum(map(len, heard.values())):,} beats heard, {until - now:.0f} s to go")


def intervals(times: Sequence[float]) -> list[float]:
    """From one beat to the next."""
    return [after - before for before, after in itertools.pairwise(times)]
