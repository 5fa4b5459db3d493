"""The ledger beside a model of it that fits on a page: whatever two holders do, in any order, both say the same.

A rule is one thing that a lander, a driver, a follower or a release does; a crash is that the next thing never comes.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from koboshi.errors import Conflict, Fenced, KoboshiError, LeaseTaken
from koboshi.ledger import Ledger, intents, leases, spans, steps, tables
from koboshi.refs import Beginning, CheckpointRef, SpanRange, SpanRef

Call = Callable[..., object]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
TTL_S = 10.0
HOLDERS = st.sampled_from("AB")
CONTENTS = st.sampled_from("xxxy")


class LedgerMachine(RuleBasedStateMachine):
    """A ledger in memory, and what its methods came to: a machine that never gets to an outcome tests nothing of it."""

    reached: ClassVar[Counter[tuple[str, str]]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.answer: Any = None
        self.cleanup = ExitStack()
        folder = self.cleanup.enter_context(tempfile.TemporaryDirectory(dir=MEMORY))
        self.ledger = Ledger(f"sqlite:///{Path(folder) / 'ledger.db'}")
        self.cleanup.callback(self.ledger.close)

    def teardown(self) -> None:
        self.cleanup.close()

    def outcome(self, call: Call, *arguments: object) -> str:
        """What a call came to: `done` (and `self.answer` is what it gave), or the name of its error."""
        try:
            self.answer = call(self.ledger, *arguments)
        except KoboshiError as error:
            outcome = type(error).__name__
        else:
            outcome = "done"
        self.reached[f"{call.__module__.rpartition('.')[2]}.{call.__name__}", outcome] += 1
        return outcome


class HoldersMachine(LedgerMachine):
    """Holders A and B share one lease, under which they land spans and commit steps."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.cleanup.enter_context(mock.patch.object(leases, "time", SimpleNamespace(time=lambda: self.now)))
        # What the holders carry, and lose in a crash.
        self.leases: dict[str, leases.Lease] = {}
        self.written: dict[str, SpanRef] = {}
        self.done: dict[str, CheckpointRef] = {}
        # The disk: files are there before rows, and stay whatever becomes of their writer.
        self.files: set[str] = set()
        # The model.
        self.newest: tuple[str, int, float] | None = None
        self.beginning: int | None = None
        self.rows: list[tuple[SpanRange, SpanRef | None]] = []
        self.steps: list[tuple[CheckpointRef, bool]] = []

    def may_commit(self, holder: str) -> bool:
        return self.newest is not None and self.leases[holder].token == self.newest[1]

    # Leases

    @precondition(lambda self: len(self.leases) < 2)
    @rule(holder=HOLDERS)
    def acquire(self, holder: str) -> None:
        taken = self.newest is not None and self.newest[0] != holder and self.newest[2] > self.now
        outcome = self.outcome(leases.acquire, "work", holder, TTL_S)
        assert outcome == (LeaseTaken.__name__ if taken else "done")
        if taken:
            return
        self.leases[holder] = self.answer
        token = self.newest[1] + 1 if self.newest else 1
        assert self.leases[holder].token == token
        self.newest = (holder, token, self.now + TTL_S)

    @precondition(lambda self: self.leases)
    @rule(holder=HOLDERS)
    def take_over(self, holder: str) -> None:
        """After the other one has slept past its lease, and does not know it yet."""
        self.now += TTL_S + 1
        self.acquire(holder)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        holder = self._somebody(data)
        lease = self.leases[holder]
        assert self.outcome(leases.renew, lease, TTL_S) == self._unless_fenced(holder, "done")
        if self.may_commit(holder):
            self.leases[holder] = self.answer
            self.newest = (holder, lease.token, self.now + TTL_S)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """A late one changes nothing: who took over is in the way as before."""
        holder = self._somebody(data)
        leases.release(self.ledger, self.leases[holder])
        if self.may_commit(holder):
            self.newest = (holder, self.leases[holder].token, 0.0)
        else:
            self.acquire(holder)

    @precondition(lambda self: self.leases)
    @rule(holder=HOLDERS)
    def crash(self, holder: str) -> None:
        """Lease and work in hand are gone; files stay, rows stay, the lease runs on."""
        for carried in (self.leases, self.written, self.done):
            carried.pop(holder, None)

    # Spans

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(), lengths=st.lists(st.integers(1, 3), min_size=1, max_size=3), off=st.sampled_from((0, 0, 1, -1))
    )
    def plan(self, data: st.DataObject, lengths: list[int], off: int) -> None:
        holder = self._somebody(data)
        end = self.rows[-1][0].end if self.rows else self.beginning
        ranges, start = [], (10 if end is None else end) + off
        for length in lengths:
            ranges.append(SpanRange("t", "id", 0, start, start + length))
            start += length
        expected = "done" if end is None or not off else Conflict.__name__
        assert self.outcome(spans.plan, self.leases[holder], ranges) == self._unless_fenced(holder, expected)
        if self.may_commit(holder) and expected == "done":
            self.rows += [(one, None) for one in ranges]
            self.beginning = self.rows[0][0].start

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), start=st.sampled_from((10, 11)))
    def begin(self, data: st.DataObject, start: int) -> None:
        """Where there is nothing to land yet; whoever comes later finds it, and cannot change it."""
        holder = self._somebody(data)
        expected = "done" if self.beginning in (None, start) else Conflict.__name__
        outcome = self.outcome(spans.begin, self.leases[holder], Beginning("t", "id", 0, start))
        assert outcome == self._unless_fenced(holder, expected)
        if outcome == "done":
            self.beginning = start

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), holder=HOLDERS, content=CONTENTS)
    def write_file(self, data: st.DataObject, holder: str, content: str) -> None:
        """Of a planned range, of one that was landed meanwhile, or of one that was never planned."""
        one = data.draw(st.sampled_from([*(one for one, _ in self.rows), SpanRange("t", "id", 0, 500, 501)]))
        self._write(holder, one, content)

    @precondition(lambda self: self.leases and any(landed is None for _, landed in self.rows))
    @rule(data=st.data(), content=CONTENTS)
    def land(self, data: st.DataObject, content: str) -> None:
        """What a lander does: the first that is waiting, file and row."""
        holder = self._somebody(data)
        self._write(holder, next(one for one, landed in self.rows if landed is None), content)
        self._commit(holder)

    @precondition(lambda self: self.leases.keys() & self.written.keys())
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        self._commit(data.draw(st.sampled_from(sorted(self.leases.keys() & self.written.keys()))))

    def _write(self, holder: str, one: SpanRange, content: str) -> None:
        self.written[holder] = SpanRef(one, f"{one.start}-{one.end}-{content}", "sha", content, one.end - one.start)
        self.files.add(self.written[holder].path)

    def _commit(self, holder: str) -> None:
        span = self.written[holder]
        place = next((number for number, row in enumerate(self.rows) if row[0] == span.range), None)
        expected = Conflict.__name__
        if place is not None and (landed := self.rows[place][1]) is not None:
            expected = "done" if landed.content == span.content else expected
        elif place is not None and (place == 0 or self.rows[place - 1][1] is not None):
            expected = "done"
        assert self.outcome(spans.commit, self.leases[holder], span) == self._unless_fenced(holder, expected)
        if self.may_commit(holder) and expected == "done" and place is not None and self.rows[place][1] is None:
            self.rows[place] = (span.range, span)

    # Steps

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def do_step(self, data: st.DataObject) -> None:
        holder = self._somebody(data)
        newest = max((one.step for one, counts in self.steps if counts), default=0)
        self.done[holder] = CheckpointRef("run", "unit", newest + 1, f"step {newest + 1} by {holder}", "sha")
        self.files.add(self.done[holder].path)

    @precondition(lambda self: self.leases.keys() & self.done.keys())
    @rule(data=st.data())
    def commit_step(self, data: st.DataObject) -> None:
        holder = data.draw(st.sampled_from(sorted(self.leases.keys() & self.done.keys())))
        step = self.done[holder]
        there = any(counts and one.step == step.step for one, counts in self.steps)
        expected = Conflict.__name__ if there else "done"
        assert self.outcome(steps.commit, self.leases[holder], [(step, {})]) == self._unless_fenced(holder, expected)
        if self.may_commit(holder) and not there:
            self.steps.append((step, True))

    @precondition(lambda self: self.leases and any(counts for _, counts in self.steps))
    @rule(data=st.data())
    def quarantine(self, data: st.DataObject) -> None:
        """Each holder that was overtaken tries first, and changes nothing."""
        newest = max((one for one, counts in self.steps if counts), key=lambda one: one.step)
        overtaken = [holder for holder in self.leases if not self.may_commit(holder)]
        for holder in dict.fromkeys([*overtaken, self._somebody(data)]):
            outcome = self.outcome(steps.quarantine, self.leases[holder], newest, "torn")
            assert outcome == self._unless_fenced(holder, "done")
        if outcome == "done":
            self.steps = [(one, counts and one != newest) for one, counts in self.steps]

    # What holds at any moment

    @invariant()
    def spans_are_the_models(self) -> None:
        """I1, and a committed row's file is there."""
        landed = [span for _, span in self.rows if span is not None]
        assert spans.committed(self.ledger, "t") == landed
        assert spans.planned(self.ledger, "t") == [one for one, span in self.rows if span is None]
        if self.rows:
            known = spans.frontier(self.ledger, "t", 0)
            assert known.last == self.rows[-1][0]
            assert list(known.planned) == spans.planned(self.ledger, "t")
        assert [one.start for one, _ in self.rows[1:]] == [one.end for one, _ in self.rows[:-1]]
        assert {span.path for span in landed} <= self.files
        begun = spans.beginnings(self.ledger, "t")
        assert {number: one.start for number, one in begun.items()} == (
            {} if self.beginning is None else {0: self.beginning}
        )
        assert [one.start for one, _ in self.rows[:1]] in ([], [self.beginning])

    @invariant()
    def steps_are_the_models(self) -> None:
        """I5: a step counts once, and its file is there."""
        counted = sorted((one for one, counts in self.steps if counts), key=lambda one: one.step)
        assert [step.checkpoint for step in steps.committed(self.ledger, "run", "unit")] == counted
        assert len({one.step for one in counted}) == len(counted)
        assert {one.path for one in counted} <= self.files

    @invariant()
    def tokens_only_grow(self) -> None:
        """I3: in the order of commits, and never beyond what was given out."""
        with self.ledger.snapshot() as connection:
            found = connection.execute(sa.select(tables.steps.c.token).order_by(tables.steps.c.id)).scalars().all()
        assert list(found) == sorted(found)
        assert max(found, default=0) <= (self.newest[1] if self.newest else 0)

    def _somebody(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.leases)))

    def _unless_fenced(self, holder: str, expected: str) -> str:
        return expected if self.may_commit(holder) else Fenced.__name__


class DecisionsMachine(LedgerMachine):
    """Attempts at one job and intents for one slot, claimed and closed by whoever comes."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts: list[str] = []
        self.intents: list[tuple[int, str]] = []

    # Attempts

    @rule()
    def claim(self) -> None:
        found = intents.claim(self.ledger, "key")
        if not self.attempts or self.attempts[-1] == "failed":
            self.attempts.append("open")
        assert (found.number, found.state) == (len(self.attempts), self.attempts[-1])

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), state=st.sampled_from(("succeeded", "failed")))
    def close(self, data: st.DataObject, state: str) -> None:
        number = data.draw(st.integers(1, len(self.attempts)))
        before = self.attempts[number - 1]
        outcome = self.outcome(intents.close, intents.Attempt("key", number, "open"), state)
        assert outcome == ("done" if before in ("open", state) else Conflict.__name__)
        if before == "open":
            self.attempts[number - 1] = state

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, len(self.attempts)))
        intents.revoke(self.ledger, intents.Attempt("key", number, "succeeded"), "a file is gone")
        if self.attempts[number - 1] == "succeeded":
            self.attempts[number - 1] = "failed"

    # Intents

    @rule(wanted=st.integers(1, 5))
    def intend(self, wanted: int) -> None:
        found = intents.open_intent(self.ledger, "slot", None, wanted)
        if not self.intents or self.intents[-1][1] != "open":
            self.intents.append((wanted, "open"))
        assert (found.id, found.wanted) == (len(self.intents), self.intents[-1][0])

    @precondition(lambda self: self.intents)
    @rule(data=st.data(), state=st.sampled_from(("done", "taken back")))
    def settle(self, data: st.DataObject, state: str) -> None:
        number = data.draw(st.integers(1, len(self.intents)))
        wanted, before = self.intents[number - 1]
        intents.settle(self.ledger, intents.Intent(number, "slot", None, wanted), state)
        if before == "open":
            self.intents[number - 1] = (wanted, state)

    @invariant()
    def attempts_are_the_models(self) -> None:
        """I6: one attempt can commit, or none."""
        with self.ledger.snapshot() as connection:
            query = sa.select(tables.attempts.c.state).order_by(tables.attempts.c.number)
            assert list(connection.execute(query).scalars()) == self.attempts
        assert sum(state != "failed" for state in self.attempts) <= 1

    @invariant()
    def intents_are_the_models(self) -> None:
        """I8: one is open, or none; the last one done is where the alias was left."""
        opened, last = intents.opened(self.ledger, "slot"), intents.last_done(self.ledger, "slot")
        assert ([opened.wanted] if opened else []) == [wanted for wanted, state in self.intents if state == "open"]
        done = [wanted for wanted, state in self.intents if state == "done"]
        assert (last.wanted if last else None) == (done[-1] if done else None)


HoldersMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
DecisionsMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=20)
TestHolders = HoldersMachine.TestCase
TestDecisions = DecisionsMachine.TestCase


@pytest.mark.parametrize(
    ("call", "outcomes"),
    [
        ("leases.acquire", {"done", "LeaseTaken"}),
        ("leases.renew", {"done", "Fenced"}),
        ("spans.plan", {"done", "Conflict", "Fenced"}),
        ("spans.begin", {"done", "Conflict", "Fenced"}),
        ("spans.commit", {"done", "Conflict", "Fenced"}),
        ("steps.commit", {"done", "Conflict", "Fenced"}),
        ("steps.quarantine", {"done", "Fenced"}),
        ("intents.close", {"done", "Conflict"}),
    ],
)
def test_the_machines_came_to_every_outcome(call, outcomes):
    """They run before this one; without it they could pass by never getting anywhere."""
    if not LedgerMachine.reached:
        pytest.skip("the machines were not run")
    reached = {outcome for (name, outcome), _ in LedgerMachine.reached.items() if name == call}
    assert reached == outcomes
