"""I1: whatever the log does between two runs, and wherever a run stops, planned ranges tile, and nothing is skipped."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from koboshi.errors import Conflict
from koboshi.ingest.landing import check_readable, plan_spans
from koboshi.ingest.source import PartitionLog
from koboshi.refs import SpanRange

LONG = 12  # spans, before a log meets with an end that stops all runs after it


class PlanningMachine(RuleBasedStateMachine):
    """A log that grows, expires, loses its end or is made again; runs that stop after any number of spans."""

    def __init__(self) -> None:
        super().__init__()
        self.log = PartitionLog("t", "first", 0, 0, 0)
        self.planned: list[SpanRange] = []
        self.landed = 0

    @rule(more=st.integers(1, 30))
    def grow(self, more: int) -> None:
        self.log = PartitionLog("t", self.log.topic_id, 0, self.log.start, self.log.end + more)

    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(self.log.start, self.log.end))
        self.log = PartitionLog("t", self.log.topic_id, 0, start, self.log.end)

    @precondition(lambda self: len(self.planned) > LONG)
    @rule(data=st.data())
    def lose_the_end(self, data: st.DataObject) -> None:
        end = data.draw(st.integers(self.log.start, self.log.end))
        self.log = PartitionLog("t", self.log.topic_id, 0, self.log.start, end)

    @precondition(lambda self: len(self.planned) > LONG)
    @rule()
    def make_again(self) -> None:
        self.log = PartitionLog("t", f"after {self.log.topic_id}"[:40], 0, 0, 0)

    @rule(size=st.integers(1, 12), spans=st.integers(0, 6))
    def run(self, size: int, spans: int) -> None:
        """A run that is killed after so many spans, if it comes so far."""
        last = self.planned[-1] if self.planned else None
        try:
            new = plan_spans(self.log, last, size)
        except Conflict:
            assert last is not None
            assert not self._follows(last)
            return
        assert last is None or self._follows(last)
        assert all(0 < one.end - one.start <= size for one in new)
        self.planned += new
        for one in self.planned[self.landed :][:spans]:
            try:
                check_readable(one, self.log)
            except Conflict:
                assert not self._readable(one)
                return
            assert self._readable(one)
            self.landed += 1

    @invariant()
    def ranges_tile(self) -> None:
        assert [one.start for one in self.planned[1:]] == [one.end for one in self.planned[:-1]]
        assert len({one.topic_id for one in self.planned}) <= 1

    def _follows(self, last: SpanRange) -> bool:
        """The log is the same, and what comes next is in it."""
        return last.topic_id == self.log.topic_id and self.log.start <= last.end <= self.log.end

    def _readable(self, one: SpanRange) -> bool:
        return one.topic_id == self.log.topic_id and self.log.start <= one.start < one.end <= self.log.end


PlanningMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestPlanning = PlanningMachine.TestCase
