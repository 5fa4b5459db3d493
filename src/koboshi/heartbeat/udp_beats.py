"""Beats as datagrams: nobody waits for anybody, and a lost one is what the detector is made for."""

import contextlib
import secrets
import socket
import struct
import time
from collections.abc import Sequence

from koboshi.heartbeat.beat import Address, Arrival, Beat, kill_order

_SO_TIMESTAMPNS = 35  # Linux; Python's socket module does not name it
_TIMESTAMP = struct.Struct("ll")
_LARGEST = 4096


class UdpBeats:
    """A socket on `host` (the driver's node address, or 127.0.0.1) at a port that is free."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        self._socket.bind((host, 0))
        self.address = Address(host, self._socket.getsockname()[1], secrets.token_hex(8))
        self._senders: dict[str, tuple[str, int]] = {}

    def arrived(self) -> Sequence[Arrival]:
        """All that has arrived since the last call; each beat with the time at which the kernel took it in.

        So a driver that was busy for a second does not take its own absence for the workers' silence.
        """
        found: list[Arrival] = []
        while True:
            try:
                data, ancillary, _, sender = self._socket.recvmsg(_LARGEST, socket.CMSG_SPACE(_TIMESTAMP.size))
            except BlockingIOError:
                return found
            if (beat := Beat.from_bytes(data, self.address.secret)) is not None:
                self._senders[beat.worker] = sender
                found.append(Arrival(beat, time.monotonic() - _age_s(ancillary)))

    def kill(self, worker: str) -> None:
        """A datagram back to where the worker's newest beat came from."""
        if (sender := self._senders.get(worker)) is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(kill_order(worker, self.address.secret), sender)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


def _age_s(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    """How long ago the kernel took a datagram in; a clock that was set back in between counts as now."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = map(int, _TIMESTAMP.unpack(data))
            return max(0.0, time.time() - seconds - nanoseconds / 1e9)
    return 0.0
