"""A TCP proxy that can fall silent: a black hole, not a reset. Bytes go in and none come out, until it heals."""

import asyncio
import threading
import time

from koboshi.drills.drill import Injection
from koboshi.drills.kit.own_run import eventually

CHUNK = 65_536


class TcpProxy:
    """Listens on a port of 127.0.0.1 and forwards to one target, on a thread of its own.

    While it is cut, connections stay open and new ones are taken, but nothing is forwarded in either direction: both
    ends see a network that has gone silent. Bytes that were sent meanwhile are held and go on after `heal`, as TCP
    would deliver them by retransmission after a partition. `held` counts them: the proof that the cut took.
    """

    def __init__(self, host: str, port: int, listen: int = 0) -> None:
        """The target, and the port to listen on (0: a free one)."""
        self.host, self.port, self.listen = host, port, listen
        self.held = 0
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)

    def start(self) -> None:
        """Listen; `listen` is the port then."""
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)
        self.listen = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Close all connections and end the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Fall silent, in both directions."""
        self.held = 0
        self._loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        """Forward again, what was held first."""
        self._loop.call_soon_threadsafe(self._open.set)

    def inject(self, target: str, swallowed_within_s: float) -> Injection:
        """Cut, and wait until something was swallowed: only then did the cut take."""
        at_s, at_monotonic = time.time(), time.monotonic()
        self.cut()
        eventually(lambda: self.held, swallowed_within_s, look_s=0.01)
        return Injection("network cut", target, at_s, at_monotonic, self.held > 0, None, f"{self.held} bytes swallowed")

    async def _serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", self.listen)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = self._loop.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """One direction, until either end closes; an end of file is held too while the network is silent."""
        try:
            while data := await source.read(CHUNK):
                self.held += 0 if self._open.is_set() else len(data)
                await self._open.wait()
                sink.write(data)
                await sink.drain()
            await self._open.wait()
        except ConnectionError:
            pass  # one end was reset: the other one hears of it by the close
        finally:
            sink.close()

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports that were closed just now let go of their sockets in the next turn
