"""I8: a release that is interrupted anywhere, between moves by hand, is completed or taken back by the next one."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from koboshi.errors import Transient
from koboshi.ledger import Ledger, intents
from koboshi.refs import ModelRef
from koboshi.registry import release as room
from koboshi.registry.release import Contender, judge_candidate, release, settle_slot

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SLOT, NAME = "slot", "m@slot"
VERSIONS = st.integers(1, 4)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


class Registry:
    """An alias, and versions that come and go; `meanwhile` is done by somebody else just before our move."""

    name = "m"

    def __init__(self) -> None:
        self.alias: int | None = None
        self.versions = {1, 2, 3, 4}
        self.meanwhile: Callable[[], None] = lambda: None

    def aliased(self, alias: str) -> int | None:
        assert alias == SLOT
        return self.alias

    def point(self, alias: str, version: int) -> None:
        assert alias == SLOT
        self.meanwhile()
        self.alias = version

    def version(self, number: int) -> ModelRef | None:
        return ModelRef(self.name, number, "k", "s") if number in self.versions else None


class ReleaseMachine(RuleBasedStateMachine):
    """Releases that die before or after any of their writes."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = ExitStack()
        folder = self.cleanup.enter_context(tempfile.TemporaryDirectory(dir=MEMORY))
        self.ledger = Ledger(f"sqlite:///{Path(folder) / 'ledger.db'}")
        self.cleanup.callback(self.ledger.close)
        self.registry = Registry()
        self.left: int | None = None  # writes that are still done before it is killed; None: all

    def teardown(self) -> None:
        self.cleanup.close()

    @rule(version=st.none() | VERSIONS)
    def move_by_hand(self, version: int | None) -> None:
        self.registry.alias = version

    @rule(version=VERSIONS)
    def delete_or_bring_back(self, version: int) -> None:
        self.registry.versions ^= {version}

    @rule(wanted=VERSIONS, stale=st.booleans(), writes=st.none() | st.integers(0, 12), meanwhile=st.none() | VERSIONS)
    def release(self, wanted: int, stale: bool, writes: int | None, meanwhile: int | None) -> None:
        """Somebody else may have moved the alias between our look and our move: MLflow compares nothing."""
        expected = 9 if stale else self.registry.alias
        if meanwhile:
            self.registry.meanwhile = lambda: setattr(self.registry, "alias", meanwhile)
        try:
            with self._killed_after(writes):
                state = release(self.ledger, self.registry, SLOT, expected, wanted)
        except (Killed, Transient):
            return
        finally:
            self.registry.meanwhile = lambda: None
        assert state.version == self.registry.alias == wanted

    @rule(writes=st.none() | st.integers(0, 12))
    def settle(self, writes: int | None) -> None:
        before, opened = self.registry.alias, intents.opened(self.ledger, NAME)
        last = intents.last_done(self.ledger, NAME)
        try:
            with self._killed_after(writes):
                state = settle_slot(self.ledger, self.registry, SLOT)
        except Killed:
            return
        assert intents.opened(self.ledger, NAME) is None
        assert state.version == self.registry.alias
        assert self.registry.alias in (before, opened.wanted if opened else before)
        newest = intents.last_done(self.ledger, NAME)
        assert self.registry.alias is None or (newest is not None and newest.wanted == self.registry.alias)
        if opened is None and (last.wanted if last else None) == before:
            assert state.repaired == ()

    def _killed_after(self, writes: int | None) -> ExitStack:
        """Die before or after one of the writes to ledger or registry."""
        self.left = writes
        stack = ExitStack()
        for place, name in ((room, "open_intent"), (room, "settle"), (self.registry, "point")):
            stack.enter_context(mock.patch.object(place, name, self._counted(getattr(place, name))))
        return stack

    def _counted(self, write: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            self._moment()
            answer = write(*arguments)
            self._moment()
            return answer

        return call

    def _moment(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


ReleaseMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=20)
TestReleases = ReleaseMachine.TestCase


@given(candidate=FLOATS, champion=FLOATS, max_drop=st.floats(0, 1))
def test_no_score_is_promoted_that_is_none_or_worse_than_allowed(candidate, champion, max_drop):
    """For all that floats can be."""
    verdict = judge_candidate(Contender(2, candidate), Contender(1, champion), max_drop)
    worse = candidate != candidate or candidate < champion - max_drop
    assert verdict.outcome == ("refuse" if worse else "promote")
