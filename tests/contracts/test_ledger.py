import dataclasses
import multiprocessing
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from koboshi.errors import Conflict, Fenced, LeaseTaken, NotConfigured, Unavailable
from koboshi.ledger import Ledger, database, intents, leases, spans, steps
from koboshi.ledger.leases import Lease
from koboshi.ledger.tables import FORMAT_VERSION
from koboshi.refs import Beginning, CheckpointRef, SpanRange, SpanRef
from tests.support.racing import at_once

RACERS = 4
LONGEST_LEASE_S = 0.05  # where writers queue up, leases of no length at all would let nobody commit


@pytest.fixture
def url(ledger_url: str) -> str:
    return ledger_url


@pytest.fixture
def ledger(url: str) -> Ledger:
    return Ledger(url)


@pytest.fixture
def lease(ledger: Ledger) -> Lease:
    return leases.acquire(ledger, "work", "us", ttl_s=60)


def span(start: int, end: int, content: str = "c", topic_id: str = "id") -> SpanRef:
    return SpanRef(SpanRange("t", topic_id, 0, start, end), f"{start}-{end}", "s", content, end - start)


def checkpoint(step: int, path: str = "p") -> CheckpointRef:
    return CheckpointRef("run", "unit", step, path, "s")


class TestLeases:
    def test_one_holder_at_a_time_and_a_new_token_for_each(self, ledger: Ledger) -> None:
        first = leases.acquire(ledger, "work", "us", ttl_s=60)
        with pytest.raises(LeaseTaken, match="work is held by us for 60 s more"):
            leases.acquire(ledger, "work", "them", ttl_s=60)
        leases.release(ledger, first)
        assert leases.acquire(ledger, "work", "them", ttl_s=60).token == first.token + 1

    def test_who_slept_past_its_lease_is_fenced(self, ledger: Ledger) -> None:
        """I3: the old holder can neither renew, nor commit, nor give away what is not its own any more."""
        slept = leases.acquire(ledger, "work", "us", ttl_s=0)
        newer = leases.acquire(ledger, "work", "them", ttl_s=60)
        with pytest.raises(Fenced, match="work was taken over"):
            leases.renew(ledger, slept, ttl_s=60)
        with pytest.raises(Fenced):
            spans.plan(ledger, slept, [span(0, 5).range])
        with pytest.raises(Fenced):
            steps.commit(ledger, slept, [(checkpoint(1), {})])
        leases.release(ledger, slept)
        with pytest.raises(LeaseTaken):
            leases.acquire(ledger, "work", "us", ttl_s=60)
        assert leases.renew(ledger, newer, ttl_s=90).expires_at > newer.expires_at

    def test_a_lease_that_ran_out_unnoticed_still_commits_until_somebody_takes_it(self, ledger: Ledger) -> None:
        expired = leases.acquire(ledger, "work", "us", ttl_s=0)
        spans.plan(ledger, expired, [span(0, 5).range])
        assert spans.planned(ledger, "t") == [span(0, 5).range]


class TestSpans:
    def test_a_plan_becomes_a_commit_and_the_commit_repeats(self, ledger: Ledger, lease: Lease) -> None:
        """I1: planned, landed, and landed once more by a run that did not know."""
        spans.plan(ledger, lease, [span(0, 5).range, span(5, 9).range])
        spans.commit(ledger, lease, span(0, 5))
        spans.commit(ledger, lease, span(0, 5))
        assert spans.planned(ledger, "t") == [span(5, 9).range]
        assert spans.committed(ledger, "t") == [span(0, 5)]

    def test_how_far_a_partition_is(self, ledger: Ledger, lease: Lease) -> None:
        """Whatever is known, the next plan follows on the frontier's last range; another partition is not looked at."""
        assert spans.frontier(ledger, "t", 0) == spans.Frontier(None)
        spans.begin(ledger, lease, Beginning("t", "id", 0, 3))
        assert spans.frontier(ledger, "t", 0).last == SpanRange("t", "id", 0, 3, 3)
        spans.plan(ledger, lease, [span(3, 5).range, span(5, 9).range])
        known = spans.frontier(ledger, "t", 0)
        assert (known.landed, known.planned) == (SpanRange("t", "id", 0, 3, 3), (span(3, 5).range, span(5, 9).range))
        assert known.last == span(5, 9).range
        spans.commit(ledger, lease, span(3, 5))
        assert spans.frontier(ledger, "t", 0) == spans.Frontier(span(3, 5).range, (span(5, 9).range,))
        spans.commit(ledger, lease, span(5, 9))
        assert spans.frontier(ledger, "t", 0) == spans.Frontier(span(5, 9).range)
        assert spans.paths(ledger, "t", 0) == {span(3, 5).path, span(5, 9).path}
        assert spans.frontier(ledger, "t", 1) == spans.Frontier(None)
        assert spans.paths(ledger, "t", 1) == set()

    @pytest.mark.parametrize("next_start", [4, 6])
    def test_a_gap_or_an_overlap_is_refused(self, ledger: Ledger, lease: Lease, next_start: int) -> None:
        """I1, and the refusal leaves no half of a plan behind."""
        with pytest.raises(Conflict, match="does not start at 5"):
            spans.plan(ledger, lease, [span(0, 5).range, span(next_start, 9).range])
        assert spans.planned(ledger, "t") == []

    def test_spans_are_committed_in_their_order(self, ledger: Ledger, lease: Lease) -> None:
        """I1: also before the first one is committed, else a hole would be left that nothing could fill."""
        spans.plan(ledger, lease, [span(0, 5).range, span(5, 9).range, span(9, 12).range])
        with pytest.raises(Conflict, match="does not start at 0, where the committed spans end"):
            spans.commit(ledger, lease, span(5, 9))
        spans.commit(ledger, lease, span(0, 5))
        with pytest.raises(Conflict, match="where the committed spans end"):
            spans.commit(ledger, lease, span(9, 12))

    def test_other_records_in_a_landed_range_are_a_conflict(self, ledger: Ledger, lease: Lease) -> None:
        """I2: a commit never changes."""
        spans.plan(ledger, lease, [span(0, 5).range])
        spans.commit(ledger, lease, span(0, 5))
        with pytest.raises(Conflict, match="landed before with other records"):
            spans.commit(ledger, lease, span(0, 5, content="other"))

    def test_what_was_not_planned_is_not_committed(self, ledger: Ledger, lease: Lease) -> None:
        spans.plan(ledger, lease, [span(0, 5).range])
        for stray in (span(5, 9), span(0, 4), span(0, 5, topic_id="another")):
            with pytest.raises(Conflict, match="was never planned"):
                spans.commit(ledger, lease, stray)

    def test_a_topic_made_again_is_not_mistaken_for_the_old_one(self, ledger: Ledger, lease: Lease) -> None:
        spans.plan(ledger, lease, [span(0, 5).range])
        with pytest.raises(Conflict, match="deleted and made again"):
            spans.plan(ledger, lease, [span(5, 9, topic_id="another").range])


class TestBeginnings:
    """Where the landing of a partition began: written once, with its first plan or before it."""

    def test_the_first_plan_says_where_landing_begins(self, ledger: Ledger, lease: Lease) -> None:
        spans.plan(ledger, lease, [span(3, 5).range, span(5, 9).range])
        spans.plan(ledger, lease, [span(9, 12).range])
        assert spans.beginnings(ledger, "t") == {0: Beginning("t", "id", 0, 3)}
        assert spans.beginnings(ledger, "other") == {}

    def test_a_plan_that_is_refused_begins_nothing(self, ledger: Ledger, lease: Lease) -> None:
        with pytest.raises(Conflict):
            spans.plan(ledger, lease, [span(3, 5).range, span(6, 9).range])
        assert spans.beginnings(ledger, "t") == {}

    def test_it_can_come_before_the_first_plan_which_has_to_start_there(self, ledger: Ledger, lease: Lease) -> None:
        """Also again, for who was interrupted in the midst of it."""
        begun = Beginning("t", "id", 0, 1_000)
        spans.begin(ledger, lease, begun)
        spans.begin(ledger, lease, begun)
        with pytest.raises(Conflict, match="began at 1000, not at 1005"):
            spans.plan(ledger, lease, [span(1_005, 1_010).range])
        spans.plan(ledger, lease, [span(1_000, 1_010).range])
        assert spans.beginnings(ledger, "t") == {0: begun}

    def test_another_beginning_is_refused(self, ledger: Ledger, lease: Lease) -> None:
        spans.plan(ledger, lease, [span(3, 5).range])
        for other, said in ((Beginning("t", "id", 0, 4), "began at 3, not at 4"), (Beginning("t", "b", 0, 3), "again")):
            with pytest.raises(Conflict, match=said):
                spans.begin(ledger, lease, other)

    def test_who_was_overtaken_begins_nothing(self, ledger: Ledger) -> None:
        slept = leases.acquire(ledger, "work", "us", ttl_s=0)
        leases.acquire(ledger, "work", "them", ttl_s=60)
        with pytest.raises(Fenced):
            spans.begin(ledger, slept, Beginning("t", "id", 0, 3))
        assert spans.beginnings(ledger, "t") == {}

    def test_a_ledger_that_is_filled_anew_has_them_from_its_spans(self, ledger: Ledger) -> None:
        database.put_back(ledger, [span(3, 5), span(5, 9)])
        assert spans.beginnings(ledger, "t") == {0: Beginning("t", "id", 0, 3, "spans")}


class TestAttempts:
    def test_an_attempt_is_attached_to_until_it_fails(self, ledger: Ledger) -> None:
        """I6: there is one attempt to attach to; only a failure opens the next one."""
        first = intents.claim(ledger, "key")
        assert intents.claim(ledger, "key") == first
        intents.close(ledger, first, "failed", "the head was killed")
        second = intents.claim(ledger, "key")
        assert (second.number, second.state) == (2, "open")
        intents.close(ledger, second, "succeeded")
        intents.close(ledger, second, "succeeded")
        assert intents.claim(ledger, "key").state == "succeeded"
        with pytest.raises(Conflict, match="is succeeded already, not failed"):
            intents.close(ledger, second, "failed")


class TestSteps:
    def test_a_step_commits_once(self, ledger: Ledger, lease: Lease) -> None:
        """I5, and of several steps in one transaction all or none."""
        steps.commit(ledger, lease, [(checkpoint(1), {"loss": 0.5})])
        with pytest.raises(Conflict, match="step 1 of unit is committed already"):
            steps.commit(ledger, lease, [(checkpoint(2), {}), (checkpoint(1), {})])
        assert [(s.checkpoint, s.metrics) for s in steps.committed(ledger, "run", "unit")] == [
            (checkpoint(1), {"loss": 0.5})
        ]

    def test_steps_whose_state_was_not_kept_are_committed_with_a_later_one(self, ledger: Ledger, lease: Lease) -> None:
        """I2, I5: their metrics are there, and the newest committed step always has a file."""
        lost = [CheckpointRef("run", "unit", step) for step in (1, 2)]
        with pytest.raises(Conflict, match="step 2 of unit has no file"):
            steps.commit(ledger, lease, [(lost[0], {}), (lost[1], {})])
        with pytest.raises(Conflict, match="step 2 of unit has no file"):
            steps.commit(ledger, lease, [(lost[1], {}), (checkpoint(1), {})])
        assert steps.committed(ledger, "run", "unit") == []
        steps.commit(
            ledger, lease, [(lost[0], {"loss": 0.7}), (lost[1], {"loss": 0.6}), (checkpoint(3), {"loss": 0.5})]
        )
        assert [(s.checkpoint, s.metrics["loss"]) for s in steps.committed(ledger, "run", "unit")] == [
            (lost[0], 0.7),
            (lost[1], 0.6),
            (checkpoint(3), 0.5),
        ]

    def test_all_files_that_a_row_names_are_told(self, ledger: Ledger, lease: Lease) -> None:
        """Also what was quarantined, so that nobody sweeps it."""
        steps.commit(ledger, lease, [(CheckpointRef("run", "unit", 1), {}), (checkpoint(2, "bad"), {})])
        steps.quarantine(ledger, lease, checkpoint(2, "bad"), "its file is torn")
        steps.commit(ledger, lease, [(checkpoint(2, "good"), {})])
        assert steps.paths(ledger, "run") == {"bad", "good"}
        assert steps.paths(ledger, "another") == set()

    def test_a_step_that_was_quarantined_can_be_done_again(self, ledger: Ledger, lease: Lease) -> None:
        steps.commit(ledger, lease, [(checkpoint(1), {}), (checkpoint(2), {})])
        steps.quarantine(ledger, lease, checkpoint(2), "its file is torn")
        assert [s.checkpoint.step for s in steps.committed(ledger, "run", "unit")] == [1]
        steps.commit(ledger, lease, [(checkpoint(2, "again"), {})])
        assert [s.checkpoint.path for s in steps.committed(ledger, "run", "unit")] == ["p", "again"]

    def test_how_far_each_run_is_and_how_its_attempts_ended(self, ledger: Ledger, lease: Lease) -> None:
        """What was quarantined is not counted; other runs are kept apart."""
        done = [(checkpoint(step), {"loss": 1.0 / step}) for step in (1, 2, 3)]
        steps.commit(ledger, lease, [*done, (dataclasses.replace(done[0][0], run_key="other"), {})])
        steps.quarantine(ledger, lease, done[2][0], "bad")
        run = done[0][0].run_key
        assert steps.last_committed_at(ledger) == {
            key: max(step.committed_at for step in steps.committed_of_run(ledger, key)) for key in (run, "other")
        }
        newest = steps.newest_of_run(ledger, run)
        assert [(unit, step.checkpoint.step, step.metrics) for unit, step in newest.items()] == [
            (done[0][0].unit, 2, {"loss": 0.5})
        ]
        first = intents.claim(ledger, run)
        intents.close(ledger, first, "failed", "why")
        intents.claim(ledger, run)
        intents.claim(ledger, "other")
        assert [(one.number, one.state, one.detail) for one in intents.recorded(ledger, run)] == [
            (1, "failed", "why"),
            (2, "open", ""),
        ]
        assert [one.key for one in intents.recorded(ledger)] == sorted([run, run, "other"])


class TestIntents:
    def test_an_open_intent_is_finished_before_the_next(self, ledger: Ledger) -> None:
        """I8: whoever comes next gets the open intent, not a second one."""
        first = intents.open_intent(ledger, "champion", expected=None, wanted=1)
        assert intents.open_intent(ledger, "champion", expected=1, wanted=2) == first
        intents.settle(ledger, first, "done")
        intents.settle(ledger, first, "taken back")
        assert intents.open_intent(ledger, "champion", expected=1, wanted=2).wanted == 2

    def test_what_a_slot_has_served_are_the_moves_that_were_made(self, ledger: Ledger) -> None:
        """Each version once, the newest first, but not what was taken back, is open, or was of another slot."""
        for slot, wanted, state in (("champion", 1, "done"), ("champion", 2, "taken back"), ("trial", 3, "done")):
            intents.settle(ledger, intents.open_intent(ledger, slot, None, wanted), state)  # type: ignore[arg-type]
        for wanted in (4, 1):
            intents.settle(ledger, intents.open_intent(ledger, "champion", None, wanted), "done", "moved by hand")
        intents.open_intent(ledger, "champion", 1, 9)
        assert intents.served(ledger, "champion") == [1, 4]


class TestOpening:
    def test_a_newer_format_is_refused_with_a_sentence(self, url: str, ledger: Ledger) -> None:
        with ledger.transaction() as connection:
            connection.execute(sa.text("UPDATE koboshi_versions SET format_version = 99"))
        with pytest.raises(NotConfigured, match="has format 99"):
            Ledger(url)

    def test_a_ledger_that_cannot_be_opened_is_worth_another_try(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="does not answer"):
            Ledger(f"sqlite:///{tmp_path}")

    def test_what_raises_is_undone(self, ledger: Ledger) -> None:
        def fail_half_way() -> None:
            with ledger.transaction() as connection:
                connection.execute(sa.text("UPDATE koboshi_versions SET format_version = 99"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_half_way()
        ledger.close()
        with ledger.snapshot() as connection:
            assert connection.execute(sa.text("SELECT format_version FROM koboshi_versions")).scalar() == FORMAT_VERSION


def _acquire(url: str) -> str:
    try:
        return str(leases.acquire(Ledger(url), "raced", multiprocessing.current_process().name, ttl_s=60).token)
    except LeaseTaken:
        return "taken"


def _land_all(url: str) -> str:
    """A lander whose lease runs out at any moment: finish what was planned, plan the next span, until 50."""
    ledger, landed, chance = Ledger(url), 0, random.Random(os.getpid())
    while landed < 50:
        try:
            mine = leases.acquire(
                ledger, "raced", multiprocessing.current_process().name, ttl_s=chance.random() * LONGEST_LEASE_S
            )
            for unfinished in spans.planned(ledger, "t"):
                spans.commit(ledger, mine, span(unfinished.start, unfinished.end))
            landed = max((s.range.end for s in spans.committed(ledger, "t")), default=0)
            spans.plan(ledger, mine, [span(landed, landed + 5).range])
        except (Conflict, Fenced, LeaseTaken):
            continue
    return str(landed)


def _claim(url: str) -> str:
    return str(intents.claim(Ledger(url), "raced").number)


def _open_intent(url: str) -> str:
    return str(intents.open_intent(Ledger(url), "raced", None, 1).id)


@pytest.fixture
def race(url: str) -> Callable[[Callable[[str], str]], list[str]]:
    return partial(at_once, url=url, racers=RACERS)


Race = Callable[[Callable[[str], str]], list[str]]


class TestRacingProcesses:
    def test_one_wins_the_lease(self, race: Race) -> None:
        """I3, on a ledger that all racers try to make at the same moment."""
        assert sorted(race(_acquire)) == ["1", *["taken"] * (RACERS - 1)]

    def test_all_claim_the_same_attempt(self, race: Race) -> None:
        """I6."""
        assert race(_claim) == ["1"] * RACERS

    def test_all_get_the_same_intent(self, race: Race) -> None:
        """I8."""
        assert race(_open_intent) == ["1"] * RACERS

    def test_spans_tile_whoever_landed_them(self, race: Race, url: str) -> None:
        """I1 and I3: landers that take the lease from each other all the time leave no gap and no overlap."""
        race(_land_all)
        landed = [(s.range.start, s.range.end) for s in spans.committed(Ledger(url), "t")]
        assert landed[:10] == [(start, start + 5) for start in range(0, 50, 5)]
