"""Beats come from beside the worker: they tell that it is stopped or gone, and go on while a step holds its
interpreter. Real processes and real signals; beats come each 0.1 s here. No bound is a time: a busy machine adds to it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest

from koboshi.heartbeat import Beat, Rhythm, Suspicion, Watch
from koboshi.heartbeat.udp_beats import UdpBeats
from tests.support.projects import ROOT

RHYTHM = Rhythm(interval_s=0.1)
WAIT_S = 60.0


class World:
    """One worker, and a driver that listens to it."""

    def __init__(self) -> None:
        self.beats, self.watch = UdpBeats(), Watch(RHYTHM, time.monotonic())
        self.watch.add("w")
        self.heard: list[Beat] = []
        address = self.beats.address
        command = [sys.executable, "-m", "tests.support.beating_worker", address.host, str(address.port)]
        pipe = subprocess.PIPE
        self.worker = subprocess.Popen([*command, address.secret], stdin=pipe, stdout=pipe, text=True, cwd=ROOT)

    def look(self) -> list[Suspicion]:
        arrivals = self.beats.arrived()
        self.heard += [arrival.beat for arrival in arrivals]
        return self.watch.look(arrivals, time.monotonic())

    def until(self, reached: Callable[[], object]) -> list[Suspicion]:
        """Look until something is reached; returns all suspicions on the way."""
        told, deadline = self.look(), time.monotonic() + WAIT_S
        while not reached():
            assert time.monotonic() < deadline, f"not reached; heard {self.heard[-3:]}"
            time.sleep(0.01)
            told += self.look()
        return told

    def suspected(self) -> Suspicion:
        told: list[Suspicion] = []
        self.until(lambda: told.extend(self.look()) or told)
        return told[0]

    def tell(self, line: str) -> None:
        assert self.worker.stdin is not None
        self.worker.stdin.write(line + "\n")
        self.worker.stdin.flush()

    def answer(self) -> list[float]:
        assert self.worker.stdout is not None
        return [float(word) for word in self.worker.stdout.readline().split()]

    def sender(self) -> psutil.Process:
        self.tell("which")
        return psutil.Process(int(self.answer()[1]))


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    try:
        world.until(lambda: len(world.heard) >= 5)
        yield world
    finally:
        world.worker.kill()
        world.worker.communicate()
        world.beats.close()


def test_a_stopped_worker_is_suspected(world: World) -> None:
    """How soon is for `Watch` to decide and for `make benchmark-detector` to measure: a busy machine adds to that."""
    os.kill(world.worker.pid, signal.SIGSTOP)
    assert world.suspected().cause in ("stopped", "silent")
    world.until(lambda: world.heard[-1].state == "T")
    os.kill(world.worker.pid, signal.SIGCONT)
    world.until(lambda: world.heard[-1].state != "T")
    world.until(lambda: world.look() == [])


def test_silence_is_suspected(world: World) -> None:
    """The sender is stopped, as it is when its whole machine is."""
    sender = world.sender()
    sender.suspend()
    assert world.suspected().cause == "silent"
    sender.resume()


def test_a_killed_worker_is_told_and_its_sender_goes_with_it(world: World) -> None:
    sender = world.sender()
    world.worker.kill()
    told: list[Suspicion] = []
    world.until(lambda: told.extend(world.look()) or "dead" in {suspicion.cause for suspicion in told})
    with suppress(psutil.NoSuchProcess):
        sender.wait(WAIT_S)
    assert not sender.is_running()


def test_beats_go_on_while_a_step_in_c_holds_the_interpreter(world: World) -> None:
    """A thread inside the worker cannot run in that time: beats from there would have fallen silent."""
    world.tell("hold")
    world.until(lambda: world.heard[-1].doing.phase == "hold")
    first, seen = world.heard[-1], len(world.heard)
    world.until(lambda: len(world.heard) >= seen + 15)
    during = world.heard[seen:]
    assert {beat.doing.phase for beat in during} == {"hold"}
    world.tell("let go")
    longest_inside_s = world.answer()[0]
    assert longest_inside_s > (during[-1].at_s - first.at_s) / 2, "the interpreter was not held all the time"


def test_beats_tell_the_processor_time_of_a_step(world: World) -> None:
    before = world.heard[-1].cpu_s
    world.tell("burn 40000000")
    world.until(lambda: world.heard[-1].doing.phase == "burn" and world.heard[-1].cpu_s > before + 0.2)
    assert (world.heard[-1].doing.unit, world.heard[-1].doing.step) == ("u", 2)
    world.answer()


def test_a_sender_that_died_is_started_again(world: World) -> None:
    sender = world.sender()
    sender.kill()
    world.until(lambda: not psutil.pid_exists(sender.pid) or sender.status() == psutil.STATUS_ZOMBIE)
    world.tell("hold")
    world.until(lambda: world.heard[-1].doing.phase == "hold")
    world.tell("let go")
    world.answer()
    assert world.sender().pid != sender.pid


def test_who_closes_is_neither_heard_nor_dead(world: World) -> None:
    sender = world.sender()
    world.tell("close")
    world.answer()
    world.look()
    assert not sender.is_running()
    assert "X" not in {beat.state for beat in world.heard}
