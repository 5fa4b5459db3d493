"""Who is suspected is ended in both ways and told as dead; who beats and makes progress is left alone."""

from collections.abc import Sequence

import pytest

from koboshi.formats.manifest import DatasetRef
from koboshi.heartbeat import Beat, Rhythm, Watch
from koboshi.heartbeat.beat import Doing
from koboshi.refs import CheckpointRef
from koboshi.training import UnitSpec
from koboshi.training.driver.pool import PoolEvent, StepReturned, SupervisedPool, WorkerGone, WorkerWarm
from koboshi.training.driver.worker import StepOrder, StepResult
from tests.support.memory_beats import MemoryBeats

LIMIT_S = 60.0


class Quiet:
    """A pool in which nothing happens but what the test says; waiting is what moves the clock."""

    places = 2

    def __init__(self, beats: MemoryBeats) -> None:
        self.beats, self.events, self.ended = beats, [WorkerWarm("one", 1, "here")], list[str]()

    def grow(self) -> None: ...

    def begin(self, worker: str, order: StepOrder) -> None: ...

    def end(self, worker: str) -> None:
        self.ended.append(worker)

    def next_events(self, timeout_s: float) -> Sequence[PoolEvent]:
        self.beats.now += timeout_s
        events, self.events = self.events, []
        return events


class World:
    def __init__(self) -> None:
        self.beats = MemoryBeats()
        self.inner = Quiet(self.beats)
        self.pool = SupervisedPool(self.inner, self.beats, Watch(Rhythm(), 0.0), lambda: self.beats.now)
        self.step = 1
        assert self.events(0.1) == [WorkerWarm("one", 1, "here")]

    def begin(self) -> None:
        spec = UnitSpec("a:b", {}, 9, step_limit_s=LIMIT_S)
        self.pool.begin("one", StepOrder("k", "a", spec, DatasetRef("t", "s"), self.step, None, "", ""))

    def beat(self, state: str = "R") -> None:
        said = Beat("one", Doing("a", self.step, "step"), state, self.beats.now, self.beats.now)
        self.beats.receive(said.to_bytes(self.beats.address.secret))

    def events(self, for_s: float, *, beating: str = "") -> Sequence[PoolEvent]:
        """What is told in this time; beats come each half second, in the state that is given."""
        until = self.beats.now + for_s
        while self.beats.now < until - 1e-9:
            if beating:
                self.beat(beating)
            if events := self.pool.next_events(0.5 if beating else 0.1):
                return events
        return []


@pytest.fixture
def world() -> World:
    return World()


def test_a_worker_that_beats_within_its_steps_limit_is_left_alone(world: World) -> None:
    """The negative control: a legitimate step of nearly a minute in C is not suspected."""
    world.begin()
    assert world.events(LIMIT_S - 1, beating="R") == []
    assert world.inner.ended == world.beats.killed == []


@pytest.mark.parametrize(("beating", "within_s", "told"), [("T", 1.6, "stopped"), ("", 2.6, "no beat")])
def test_a_stopped_or_silent_worker_is_ended_and_told_as_dead(
    world: World, beating: str, within_s: float, told: str
) -> None:
    """Within five beats, and half a second to act."""
    world.begin()
    world.events(5.0, beating="R")
    began = world.beats.now
    (event,) = world.events(5.0, beating=beating)
    assert isinstance(event, WorkerGone)
    assert told in event.reason
    assert world.beats.now - began <= within_s
    assert world.inner.ended == world.beats.killed == ["one"]


def test_a_process_that_is_gone_is_told_by_the_pool_or_after_a_second(world: World) -> None:
    """The pool knows why it died; but where it says nothing, beats do."""
    world.begin()
    world.events(5.0, beating="R")
    world.beat("X")
    began = world.beats.now
    (event,) = world.events(5.0)
    assert isinstance(event, WorkerGone)
    assert 1.0 <= world.beats.now - began <= 1.3


def test_a_worker_that_beats_but_never_comes_to_the_end_of_its_step_is_ended(world: World) -> None:
    world.begin()
    (event,) = world.events(LIMIT_S + 2, beating="R")
    assert isinstance(event, WorkerGone)
    assert LIMIT_S <= world.beats.now <= LIMIT_S + 2
    assert world.inner.ended == ["one"]


def test_a_unit_whose_steps_take_longer_has_three_times_as_long(world: World) -> None:
    world.begin()
    world.events(50.0, beating="R")
    checkpoint = CheckpointRef("k", "a", 1, "p", "s")
    world.inner.events = [StepReturned("one", StepResult(checkpoint, {}, 50.0))]
    world.events(0.5, beating="R")
    world.step = 2
    world.begin()
    assert world.events(149.0, beating="R") == []
    assert len(world.events(3.0, beating="R")) == 1


def test_between_steps_no_progress_is_expected(world: World) -> None:
    assert world.events(10 * LIMIT_S, beating="S") == []


def test_one_that_was_ended_and_beats_again_is_killed_then(world: World) -> None:
    """A network that heals: the order to die was lost with it."""
    world.begin()
    world.events(5.0, beating="R")
    world.pool.end("one")
    assert world.beats.killed == ["one"]
    world.events(1.0, beating="R")
    assert world.beats.killed == ["one", "one", "one"]
    world.events(1.0, beating="X")
    assert len(world.beats.killed) == 3


def test_what_was_seen_of_a_worker_is_told_until_it_is_gone(world: World) -> None:
    (seen,) = world.pool.seen()
    assert (seen.name, seen.pid, seen.node, seen.state, seen.silence_s, seen.phi) == ("one", 1, "here", "", None, 0)
    world.begin()
    world.events(3.0, beating="R")
    (seen,) = world.pool.seen()
    assert (seen.state, seen.phase) == ("R", "step")
    assert seen.silence_s == pytest.approx(0.5)
    world.beats.now += 1.5
    (later,) = world.pool.seen()
    assert later.silence_s == pytest.approx(2.0)
    assert later.phi > seen.phi
    world.pool.end("one")
    assert world.pool.seen() == []


def test_a_worker_that_died_is_not_told_of_any_more(world: World) -> None:
    world.inner.events = [WorkerGone("one", "killed")]
    world.events(0.5)
    assert world.pool.seen() == []
