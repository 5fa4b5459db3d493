"""Who is still at work: beats from beside each worker, and what their absence means.

beat.py          what a beat says, where beats go, and the seam where they arrive
watch.py         decides, pure: how suspicious a silence is (φ), and who is silent, stopped, dead, or makes no progress
udp_beats.py     beats as datagrams; their arrival times are the kernel's
beat_sender.py   the process beside the worker, and the worker's end, which starts it and tells it what the worker is at

The first two are pure: they take the time as an argument, and nothing of them touches a clock, a file or a socket.
"""

from koboshi.heartbeat.beat import Address, Arrival, Beat, Beats
from koboshi.heartbeat.watch import Rhythm, Suspicion, Watch, progress_limit_s

__all__ = ["Address", "Arrival", "Beat", "Beats", "Rhythm", "Suspicion", "Watch", "progress_limit_s"]
