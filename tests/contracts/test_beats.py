"""What a listener promises: one suite, on datagrams and in memory."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from koboshi.heartbeat import Arrival, Beat, Beats
from koboshi.heartbeat.beat import Doing
from koboshi.heartbeat.udp_beats import UdpBeats
from tests.support.memory_beats import MemoryBeats

Send = Callable[[bytes], None]
WAIT_S = 5.0


@pytest.fixture(params=["memory", "udp"])
def world(request: pytest.FixtureRequest) -> Iterator[tuple[Beats, Send]]:
    if request.param == "memory":
        memory = MemoryBeats()
        yield memory, memory.receive
        return
    udp = UdpBeats()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        yield udp, lambda data: out.sendto(data, (udp.address.host, udp.address.port)) and None
    udp.close()


def beat(number: int) -> Beat:
    return Beat(f"w{number}", Doing("unit", number, "step"), "R", 1.5, float(number))


def heard(beats: Beats, count: int) -> list[Arrival]:
    deadline, found = time.monotonic() + WAIT_S, list(beats.arrived())
    while len(found) < count and time.monotonic() < deadline:
        found += beats.arrived()
    return found


def test_each_beat_arrives_once_and_in_order(world: tuple[Beats, Send]) -> None:
    beats, send = world
    for number in range(5):
        send(beat(number).to_bytes(beats.address.secret))
    found = heard(beats, 5)
    assert [arrival.beat for arrival in found] == [beat(number) for number in range(5)]
    assert [arrival.at_s for arrival in found] == sorted(arrival.at_s for arrival in found)
    assert list(beats.arrived()) == []


def test_what_has_not_the_runs_secret_is_not_heard(world: tuple[Beats, Send]) -> None:
    beats, send = world
    for data in (beat(0).to_bytes("another"), b"noise", b"", b"x" * 9000):
        send(data)
    send(beat(1).to_bytes(beats.address.secret))
    assert [arrival.beat for arrival in heard(beats, 1)] == [beat(1)]


def test_nobody_waits_where_nothing_has_arrived(world: tuple[Beats, Send]) -> None:
    assert list(world[0].arrived()) == []


def test_a_datagram_arrives_when_the_kernel_takes_it_not_when_somebody_looks() -> None:
    beats = UdpBeats()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        before = time.monotonic()
        out.sendto(beat(0).to_bytes(beats.address.secret), (beats.address.host, beats.address.port))
        sent = time.monotonic()
        while time.monotonic() < sent + 0.3:
            pass
        (arrival,) = beats.arrived()
    assert before - 0.2 < arrival.at_s < sent + 0.2
    beats.close()


def test_each_listener_has_a_secret_of_its_own() -> None:
    one, other = UdpBeats(), UdpBeats()
    assert one.address.secret != other.address.secret
    one.close()
    other.close()
