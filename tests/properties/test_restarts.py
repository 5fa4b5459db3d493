"""I5, the pure half: whatever dies whenever, no step is ordered twice at once, and a run is never stuck."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from koboshi.training.restart import (
    SPARES,
    STILLBORN,
    TRIES,
    Begun,
    Committed,
    Event,
    GiveUp,
    Grow,
    Interrupted,
    Lost,
    Order,
    Ready,
    RunState,
    UnitState,
    decide_restart,
)


class RestartMachine(RuleBasedStateMachine):
    """A cluster that does what it is ordered to do, and in which anything may die at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.started = self.starting = self.stillborn = 0
        self.idle: set[str] = set()
        self.at_work: dict[str, Order] = {}
        self.failures: dict[str, int] = {}
        self.given_up: GiveUp | None = None

    @initialize(
        totals=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), min_size=1, max_size=4),
        actors=st.integers(1, 3),
    )
    def begin(self, totals: list[tuple[int, int]], actors: int) -> None:
        """Any driver's first look: some units are done already, in part or whole."""
        units = {f"u{number}": UnitState(total, min(done, total)) for number, (total, done) in enumerate(totals)}
        self.state = RunState(actors, units)
        self.failures = dict.fromkeys(units, 0)
        self._decide(Begun())

    @precondition(lambda self: self.going_on() and self.starting)
    @rule()
    def worker_is_ready(self) -> None:
        self.starting, self.stillborn, self.started = self.starting - 1, 0, self.started + 1
        self.idle.add(f"w{self.started}")
        self._decide(Ready(f"w{self.started}"))

    @precondition(lambda self: self.going_on() and self.starting)
    @rule()
    def worker_never_comes_up(self) -> None:
        self.starting, self.stillborn = self.starting - 1, self.stillborn + 1
        self._decide(Lost("nobody", "it was never there"))

    @precondition(lambda self: self.going_on() and self.idle)
    @rule(data=st.data())
    def idle_worker_dies(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.idle)))
        self.idle.discard(worker)
        self._decide(Lost(worker, "killed"))

    @precondition(lambda self: self.going_on() and self.at_work)
    @rule(data=st.data())
    def step_is_committed(self, data: st.DataObject) -> None:
        worker, order = self._somebody_at_work(data)
        self.failures[order.unit] = 0
        if order.step == self.state.units[order.unit].total:
            self.idle.add(worker)
        self._decide(Committed(worker))

    @precondition(lambda self: self.going_on() and self.at_work)
    @rule(data=st.data(), alive=st.booleans())
    def step_comes_to_nothing(self, data: st.DataObject, alive: bool) -> None:
        """Its worker dies, or it raises; of the checkpoints before it any number may be bad."""
        worker, order = self._somebody_at_work(data)
        done = data.draw(st.integers(max(0, order.step - 3), order.step - 1))
        self.failures[order.unit] += 1
        if alive:
            self.idle.add(worker)
        self._decide(Interrupted(worker, done, alive, "drawn"))

    @precondition(lambda self: not self.going_on())
    @rule()
    def stranger_speaks(self) -> None:
        """At the end, events of workers that nobody knows change nothing."""
        before = self.state.units
        self.state, _ = decide_restart(self.state, Committed("a stranger"))
        assert self.state.units == before

    @invariant()
    def a_run_is_never_stuck(self) -> None:
        """As long as there is work, somebody does it or is on the way."""
        if self.failures and self.going_on():
            assert self.at_work or self.starting

    @invariant()
    def the_books_are_right(self) -> None:
        if self.failures and self.going_on():
            assert set(self.state.idle) == self.idle
            assert self.state.starting == self.starting
            assert {unit.worker for unit in self.state.units.values() if unit.worker} == set(self.at_work)
            assert len(self.at_work) <= self.state.actors
            assert len(self.at_work) + len(self.idle) + self.starting <= self.state.actors + SPARES

    @invariant()
    def it_gives_up_when_it_has_to_and_not_before(self) -> None:
        hopeless = TRIES in self.failures.values() or self.stillborn >= STILLBORN
        assert (self.given_up is not None) == hopeless

    def going_on(self) -> bool:
        return self.given_up is None and not self.state.finished

    def _somebody_at_work(self, data: st.DataObject) -> tuple[str, Order]:
        worker = data.draw(st.sampled_from(sorted(self.at_work)))
        return worker, self.at_work.pop(worker)

    def _decide(self, event: Event) -> None:
        self.state, actions = decide_restart(self.state, event)
        for action in actions:
            match action:
                case Order():
                    self._take(action)
                case Grow():
                    self.starting += 1
                case GiveUp():
                    self.given_up = action

    def _take(self, order: Order) -> None:
        """A worker that has its unit in memory goes on with it; any other one is idle, and reads it back."""
        assert order.step == self.state.units[order.unit].done + 1
        assert order.unit not in {other.unit for other in self.at_work.values()}
        assert order.worker not in self.at_work
        assert order.fresh == (order.worker in self.idle)
        self.idle.discard(order.worker)
        self.at_work[order.worker] = order


RestartMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestRestarts = RestartMachine.TestCase
