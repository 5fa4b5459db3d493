"""The replica's process: one event loop, a thread that follows the alias, and a stop that loses no request."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import uvicorn

from koboshi.errors import NotConfigured
from koboshi.serving.replica import Replica
from koboshi.serving.starlette_app import ScoringApp

POLL_S = 1.0
DRAIN_S = 1.5
FINISH_S = 10
# Longer than the gateway keeps an idle connection, so that it is never the replica that closes one under a request.
KEEP_ALIVE_S = 120
log = logging.getLogger("koboshi.serving")


def serve(replica: Replica, host: str, port: int) -> None:
    """Let a replica follow its slot, and answer on `host:port`, until SIGTERM.

    On SIGTERM readiness turns red for `DRAIN_S`, so that a balancer takes the replica out; then no connection is
    accepted any more, and what is under way may finish within `FINISH_S`. The process ends with 128 + the signal.
    Raises `NotConfigured`, before anything is begun, when the port cannot be had.
    """
    listener = bound(host, port)
    app = ScoringApp(replica)
    config = uvicorn.Config(app.asgi, host, port, log_level="warning", access_log=False, server_header=False)
    config.timeout_graceful_shutdown, config.timeout_keep_alive = FINISH_S, KEEP_ALIVE_S
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        server = _DrainingServer(config, app)
        runner.run(_run(server, replica, listener))
        # A thread that is stuck in a prediction or a download must not hold the process: nothing is left to lose.
        logging.shutdown()
        os._exit(128 + server.signal if server.signal else 0)


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the port and does not listen yet. Raises `NotConfigured`, which says why it cannot be had."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise NotConfigured(f"port {port} of {host} {_why(error, port)}.") from error
    return listener


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"is taken by another program: choose another one with --port, or end that one (`ss -ltnp sport = :{port}`)"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return "is not for this user: choose one from 1024 on with --port"
    return f"cannot be listened on ({error.strerror}): give an address of this machine with --host"


class _DrainingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: ScoringApp) -> None:
        super().__init__(config)
        self._app, self.signal = app, 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  uvicorn's interface
        """The first signal drains, the second one stops at once."""
        self.signal = self.signal or sig
        if self._app.draining:
            self.should_exit = True
            return
        self._app.draining = True
        log.info("signal %d: draining", sig)
        asyncio.get_running_loop().call_later(DRAIN_S, setattr, self, "should_exit", True)


async def _run(server: uvicorn.Server, replica: Replica, listener: socket.socket) -> None:
    following = asyncio.create_task(_follow(replica))
    try:
        await server.serve(sockets=[listener])
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def _follow(replica: Replica) -> None:
    """Poll the alias for ever; what fails is logged, and the next poll tries again."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="follow")
    while True:
        [outcome] = await asyncio.gather(
            asyncio.get_running_loop().run_in_executor(thread, replica.poll_alias), return_exceptions=True
        )
        if isinstance(outcome, Exception):
            log.error("looking at the slot failed", exc_info=outcome)
        await asyncio.sleep(POLL_S)
