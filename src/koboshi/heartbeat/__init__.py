"""Who is still at work: beats from beside each worker, and what their absence means.

beat.py          what a beat says, and where beats go
phi_accrual.py   how suspicious a silence is, after what was heard before
watch.py         decides, pure: who is silent, stopped, dead, or makes no progress
beats.py         the seam: where beats arrive
udp_beats.py     beats as datagrams; their arrival times are the kernel's
companion.py     the worker's end: starts the sender, and tells it what the worker is at
beat_sender.py   the process beside the worker; it beats whatever the worker's interpreter is doing

The first three are pure: they take the time as an argument, and nothing of them touches a clock, a file or a socket.
"""

from koboshi.heartbeat.beat import Address, Beat
from koboshi.heartbeat.beats import Arrival, Beats
from koboshi.heartbeat.phi_accrual import Rhythm
from koboshi.heartbeat.watch import Suspicion, Watch, progress_limit_s

__all__ = ["Address", "Arrival", "Beat", "Beats", "Rhythm", "Suspicion", "Watch", "progress_limit_s"]
