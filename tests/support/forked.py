"""A function in a forked child: a process of its own that need not import anything again."""

import ctypes
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

PATIENCE_S = 60
PR_SET_PTRACER, ANY = 0x59616D61, -1


class Forked:
    """A child that waits for `go`, runs `work` and sends its answer (JSON values); it may die on the way.

    It speaks through a socket: so none of its `write` calls is of the harness. It is ended when it hangs.
    """

    def __init__(self, work: Callable[[], Any], patience_s: int = PATIENCE_S) -> None:
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _run(work, theirs, patience_s)
        theirs.close()
        self._socket = ours

    def go(self) -> None:
        self._socket.send(b"g")

    def end(self) -> tuple[int, Any]:
        """How it ended (negative: by which signal), and its answer if it came to that."""
        answer = b"".join(iter(lambda: self._socket.recv(1 << 16), b""))
        self._socket.close()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), json.loads(answer) if answer else None


def answer_of(work: Callable[[], Any]) -> Any:
    """What `work` returns in a child that nobody disturbs."""
    child = Forked(work)
    child.go()
    code, answer = child.end()
    if code != 0:
        raise RuntimeError(f"a child of the sweep ended with {code}: see above.")
    return answer


def _run(work: Callable[[], Any], channel: socket.socket, patience_s: int) -> NoReturn:
    code = 1
    try:
        signal.alarm(patience_s)
        # Where a process may be traced by its ancestors only (Yama), a sibling has to be let in.
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_long(ANY), 0, 0, 0)
        channel.recv(1)
        channel.sendall(json.dumps(work()).encode())
        code = 0
    except BaseException:  # noqa: BLE001 (a child never returns into its parent's code)
        sys.__stderr__.write(traceback.format_exc())
        sys.__stderr__.flush()
    finally:
        os._exit(code)
