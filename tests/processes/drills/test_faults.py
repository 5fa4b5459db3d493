"""A network that falls silent and heals, and a byte that rots: both prove that they took."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from koboshi.drills.kit.faults import flip_byte
from koboshi.drills.kit.own_run import TcpProxy


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers what it hears; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(100):
                connection.sendall(data)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@contextmanager
def running(proxy: TcpProxy) -> Iterator[TcpProxy]:
    """Forward while the block runs; afterwards all connections are closed."""
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()


class AnnouncedProxy(TcpProxy):
    """Says when it has fallen silent."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.is_cut = threading.Event()

    def cut(self) -> None:
        super().cut()
        self.is_cut.set()


def test_a_cut_network_is_silent_and_gives_all_back_when_it_heals(echo: int) -> None:
    """A black hole, not a reset: the connection stays open, nothing comes through, and nothing is lost."""
    proxy = AnnouncedProxy("127.0.0.1", echo)
    with running(proxy), socket.create_connection(("127.0.0.1", proxy.listen)) as near:
        near.settimeout(10)
        near.sendall(b"before")
        assert near.recv(100) == b"before"
        sender = threading.Thread(target=lambda: proxy.is_cut.wait(60) and near.sendall(b"meanwhile"))
        sender.start()
        injection = proxy.inject("echo", 60)
        sender.join()
        assert (injection.took, injection.detail) == (True, "9 bytes swallowed")
        near.settimeout(0.2)
        with pytest.raises(TimeoutError):
            near.recv(100)
        near.settimeout(10)
        proxy.heal()
        assert near.recv(100) == b"meanwhile"


def test_a_cut_that_swallows_nothing_did_not_take(echo: int) -> None:
    with running(TcpProxy("127.0.0.1", echo)) as proxy:
        assert not proxy.inject("echo", 0.05).took


def test_connections_end_with_either_end_and_with_the_proxy(echo: int) -> None:
    with running(TcpProxy("127.0.0.1", echo)) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.listen)) as first:
            first.sendall(b"x")
            assert first.recv(1) == b"x"
        last = socket.create_connection(("127.0.0.1", proxy.listen))
        last.settimeout(10)
        last.sendall(b"y")
        assert last.recv(1) == b"y"
    assert last.recv(1) == b""
    last.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.listen))


def test_a_target_that_is_not_there_closes_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with running(TcpProxy("127.0.0.1", port)) as proxy, socket.create_connection(("127.0.0.1", proxy.listen)) as near:
        near.settimeout(10)
        assert near.recv(1) == b""


def test_a_flipped_byte_shows_in_the_digest_and_nowhere_else(tmp_path: Path) -> None:
    """As a disk does it: same size, same times, same mode."""
    path = tmp_path / "object"
    path.write_bytes(b"abc")
    path.chmod(0o444)
    before = path.stat()
    injection = flip_byte(path, "object")
    assert injection.took
    assert path.read_bytes() == bytes([0x61, 0x62 ^ 0xFF, 0x63])
    after = path.stat()
    assert (after.st_size, after.st_mode, after.st_mtime_ns) == (before.st_size, before.st_mode, before.st_mtime_ns)
    assert os.access(path, os.R_OK)
