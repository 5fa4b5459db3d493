"""The acting half, on workers in this process: what is committed, what is done again, and when it stops."""

import errno
from pathlib import Path
from typing import TypeVar

import pytest

from koboshi import files
from koboshi.errors import BadInput, Fenced, LeaseTaken, Permanent, Transient
from koboshi.events import Event, Recovered, StepDone, UnitGoesOn, WorkerDied, in_words, to_all
from koboshi.ledger import leases, steps
from koboshi.training import checkpoints
from koboshi.training.attach import final_steps
from koboshi.training.checkpoints.retention import LEAST
from koboshi.training.driver import loop as driver
from koboshi.training.driver.loop import train
from koboshi.training.driver.pool import step_raised
from koboshi.training.driver.restart import MEMORY_TRIES, TRIES
from koboshi.training.driver.worker import StepOrder
from koboshi.training.progress.observer import recoveries
from koboshi.training.spec import TrainingSpec
from tests.support.chain_unit import Chain
from tests.support.local_pool import AFTER, BEFORE, LocalPool
from tests.support.trainings import CHAIN, chain_spec, events_of, final_states, journal_of, ledger_of, undisturbed

E = TypeVar("E", bound=Event)


def run(spec: TrainingSpec, pool: LocalPool) -> list[str]:
    """Train, and return the sentences of what happened."""
    said: list[str] = []
    train(spec, pool, ledger_of(spec), to_all(journal_of(spec).emit, in_words(said.append)))
    return said


def typed(spec: TrainingSpec, kind: type[E]) -> list[E]:
    """The journal's events of one kind."""
    return [entry.event for entry in journal_of(spec).entries() if isinstance(entry.event, kind)]


def test_an_undisturbed_run_commits_each_step_once_and_keeps_the_metrics(tmp_path: Path) -> None:
    """I5."""
    spec, pool = chain_spec(tmp_path, steps={"a": 4, "b": 2}), LocalPool()
    said = run(spec, pool)
    assert final_states(spec) == undisturbed(spec)
    assert sorted(pool.begun) == [("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 1), ("b", 2)]
    committed = steps.committed(ledger_of(spec), spec.key, "a")
    assert [step.checkpoint.step for step in committed] == [1, 2, 3, 4]
    assert committed[-1].metrics == {"first_byte": float(undisturbed(spec)["a"][0])}
    assert any(line.startswith("a: step 4/4 first_byte") for line in said)
    done = [(event.unit, event.step, event.total, event.metrics) for event in typed(spec, StepDone)]
    assert ("a", 4, 4, committed[-1].metrics) in done
    assert len(done) == 6


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_death_costs_one_step_and_changes_nothing(tmp_path: Path, step: int, when: str) -> None:
    """I5: also when the file of the lost step is there already, and before there is any checkpoint at all."""
    spec, pool = chain_spec(tmp_path, steps={"a": 5, "b": 5}), LocalPool([("a", step, when)])
    run(spec, pool)
    assert final_states(spec) == undisturbed(spec)
    assert len(pool.begun) == 11
    assert pool.begun.count(("a", step)) == 2
    (died,), (goes_on,), (recovered,) = (typed(spec, kind) for kind in (WorkerDied, UnitGoesOn, Recovered))
    assert (died.unit, died.step, goes_on.unit, goes_on.step) == ("a", step, "a", step - 1)
    assert (recovered.unit, recovered.step) == ("a", step)


def test_the_journal_tells_of_suspicion_and_recovery(tmp_path: Path) -> None:
    spec = chain_spec(tmp_path, steps={"a": 3})
    run(spec, LocalPool([("a", 2, BEFORE)]))
    (died,), (recovered,) = events_of(spec, "worker died"), events_of(spec, "recovered")
    assert (died["unit"], died["step"], died["reason"]) == ("a", 2, "killed by the test")
    assert (recovered["unit"], recovered["step"]) == ("a", 2)
    (sentence,) = recoveries(journal_of(spec), spec.key)["a"]
    assert sentence.startswith(f"recovered, step 2 was done again on {recovered['worker']} after ")


def test_a_second_run_does_nothing(tmp_path: Path) -> None:
    spec = chain_spec(tmp_path, steps={"a": 3})
    run(spec, LocalPool())
    again = LocalPool()
    assert run(spec, again) == ["a: 3 of 3 steps are committed already"]
    assert again.begun == []


def test_another_driver_goes_on_from_the_committed_steps(tmp_path: Path) -> None:
    """A driver that gives up leaves its commits to the next one, which takes them up and says so."""
    spec = chain_spec(tmp_path, steps={"a": 4})
    with pytest.raises(Permanent, match="0 of 1 units are trained: a was quarantined, step 3 came to nothing"):
        run(spec, LocalPool([("a", 3, BEFORE)] * TRIES))
    pool = LocalPool()
    said = run(spec, pool)
    assert pool.begun == [("a", 3), ("a", 4)]
    assert said[0] == "a: taken up by another driver after step 2 of 4"
    assert final_states(spec) == undisturbed(spec)
    assert "taken up by another driver after step 2 of 4" in recoveries(journal_of(spec), spec.key)["a"]


def test_a_unit_that_always_raises_is_quarantined_and_the_others_are_trained(tmp_path: Path) -> None:
    """The run ends partial (65), names the unit, its step and its reason, and keeps what was done."""
    spec, pool = chain_spec(tmp_path, steps={"a": 3, "b": 4}), LocalPool()
    object.__setattr__(spec.units["a"], "params", {"seed": "a", "fails_at": 2})
    reason = r"1 of 2 units are trained: a was quarantined, step 2 .* because ZeroDivisionError: this step can .*\.$"
    with pytest.raises(Permanent, match=reason):
        run(spec, pool)
    assert pool.begun.count(("a", 2)) == TRIES
    assert [step.checkpoint.step for step in steps.committed(ledger_of(spec), spec.key, "a")] == [1]
    assert steps.committed(ledger_of(spec), spec.key, "b")[-1].checkpoint.step == 4
    (quarantined,) = events_of(spec, "unit set aside")
    assert (quarantined["unit"], quarantined["step"]) == ("a", 2)


@pytest.mark.parametrize(
    ("error", "tried"), [(TypeError("no such parameter"), 1), (BadInput("no"), 1), (MemoryError(), MEMORY_TRIES)]
)
def test_what_must_come_again_is_not_tried_again(tmp_path: Path, error: Exception, tried: int) -> None:
    spec = chain_spec(tmp_path, steps={"a": 3})

    class Raising(LocalPool):
        def begin(self, worker, order):  # type: ignore[no-untyped-def]
            self.begun.append((order.unit, order.step))
            self.events.append(step_raised(worker, error))

    pool = Raising()
    with pytest.raises(Permanent, match="a was quarantined, step 1"):
        run(spec, pool)
    assert len(pool.begun) == tried


def test_a_worker_that_ran_out_of_memory_is_not_used_again(tmp_path: Path) -> None:
    """What it has in memory may be what filled it: the unit goes on in a new process."""
    spec = chain_spec(tmp_path, steps={"a": 3})

    class Full(LocalPool):
        def begin(self, worker, order):  # type: ignore[no-untyped-def]
            if order.step == 2 and not self.ended:
                self.events.append(step_raised(worker, MemoryError()))
            else:
                super().begin(worker, order)

    pool = Full()
    run(spec, pool)
    assert final_states(spec) == undisturbed(spec)
    assert len(pool.ended) == 1


def test_steps_that_come_together_are_committed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I5: as many as came count, or none does; 1,000 small units cost no transaction each."""
    spec, commit, together = chain_spec(tmp_path, steps={"a": 2, "b": 2}), steps.commit, []

    def counted(ledger, lease, done):  # type: ignore[no-untyped-def]
        together.append(len(done))
        commit(ledger, lease, done)

    class Together(LocalPool):
        def next_events(self, timeout_s):  # type: ignore[no-untyped-def]  # noqa: ARG002
            events = list(self.events)
            self.events.clear()
            return events

    monkeypatch.setattr(steps, "commit", counted)
    run(spec, Together())
    assert final_states(spec) == undisturbed(spec)
    assert together == [2, 2]


def test_a_full_disk_stops_the_run_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """75: the next run goes on, once there is room."""
    spec = chain_spec(tmp_path, steps={"a": 2})

    def full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(checkpoints, "LAST_PATIENCE_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(files, "_fsync", full)
        with pytest.raises(Transient, match=r"a was quarantined, step 2 .* is full .*[^.]\.$"):
            run(spec, LocalPool())
    run(spec, LocalPool())
    assert final_states(spec) == undisturbed(spec)


class FullFor(LocalPool):
    """The disk is full while some steps are done."""

    def __init__(self, patch: pytest.MonkeyPatch, steps: range, deaths: list[tuple[str, int, str]]) -> None:
        super().__init__(deaths)
        self.patch, self.full, self.fsync = patch, steps, files._fsync
        patch.setattr(checkpoints, "BACKOFF_S", (0.0, 0.0))

    def begin(self, worker: str, order: StepOrder) -> None:
        def fsync(path: Path) -> None:
            if order.step in self.full:
                raise OSError(errno.ENOSPC, "full")
            self.fsync(path)

        self.patch.setattr(files, "_fsync", fsync)
        super().begin(worker, order)
        self.patch.setattr(files, "_fsync", self.fsync)


def test_a_disk_that_is_full_for_a_while_pauses_checkpoints_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I5: no step is done twice, all metrics are kept, and the steps of the pause are committed with the next file."""
    spec, pool = chain_spec(tmp_path, steps={"a": 7}), FullFor(monkeypatch, range(3, 6), [])
    said = run(spec, pool)
    assert final_states(spec) == undisturbed(spec)
    assert [step for _, step in pool.begun] == [1, 2, 3, 4, 5, 6, 7]
    rows = steps.committed(ledger_of(spec), spec.key, "a")
    assert [(row.checkpoint.step, bool(row.checkpoint.path)) for row in rows] == [
        (1, True),
        (2, True),
        (3, False),
        (4, False),
        (5, False),
        (6, True),
        (7, True),
    ]
    assert all(row.metrics for row in rows)
    (paused,), (resumed,) = events_of(spec, "checkpoints paused"), events_of(spec, "checkpoints go on")
    assert (paused["unit"], paused["at_risk"], resumed["unit"]) == ("a", 1, "a")
    assert any("3 steps are in memory alone" in line and "is full" in line for line in said)


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("step", [4, 5])
def test_a_death_in_the_pause_costs_the_steps_at_risk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, when: str
) -> None:
    """I5: what was in memory alone is done again, from the newest durable step."""
    spec, pool = chain_spec(tmp_path, steps={"a": 7}), FullFor(monkeypatch, range(3, 6), [("a", step, when)])
    run(spec, pool)
    assert final_states(spec) == undisturbed(spec)
    assert [number for _, number in pool.begun] == [*range(1, step + 1), *range(3, 8)]


def test_gives_up_for_now_when_no_worker_comes_up(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="it never came up"):
        run(chain_spec(tmp_path, steps={"a": 1}), LocalPool(stillborn=10))


def test_workers_that_fail_to_come_up_now_and_then_are_replaced(tmp_path: Path) -> None:
    spec = chain_spec(tmp_path, steps={"a": 2})
    run(spec, LocalPool(stillborn=2))
    assert final_states(spec) == undisturbed(spec)


def test_a_driver_that_was_taken_over_commits_nothing_more(tmp_path: Path) -> None:
    """I3: the guard is in the commit itself, which comes after the next order."""
    spec = chain_spec(tmp_path, steps={"a": 5})

    class TakenOver(LocalPool):
        def begin(self, worker, order):  # type: ignore[no-untyped-def]
            if order.step == 3:
                with ledger_of(spec).transaction() as connection:
                    connection.exec_driver_sql("UPDATE leases SET token = token + 1")
            super().begin(worker, order)

    with pytest.raises(Fenced):
        run(spec, TakenOver())
    assert [s.checkpoint.step for s in steps.committed(ledger_of(spec), spec.key, "a")] == [1]


def test_waits_for_the_driver_before_it_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = chain_spec(tmp_path, steps={"a": 1})
    leases.acquire(ledger_of(spec), f"training/{spec.key}", "somebody", 600)
    monkeypatch.setattr(driver, "TAKEOVER_S", 0.0)
    with pytest.raises(LeaseTaken, match="held by somebody"):
        run(spec, LocalPool())
    leases.acquire(ledger_of(spec), f"training/{spec.key}", "somebody", 0.2)
    monkeypatch.setattr(driver, "TAKEOVER_S", 30.0)
    run(spec, LocalPool())
    assert final_states(spec) == undisturbed(spec)


def test_keeps_the_newest_checkpoints_only(tmp_path: Path) -> None:
    """What a resume may need stays: LEAST files of each unit; what the metrics need stays in the ledger."""
    spec = chain_spec(tmp_path, steps={"a": LEAST + 4})
    run(spec, LocalPool())
    files = sorted(path.name[:4] for path in (spec.place.checkpoints / spec.key[:16] / "a").iterdir())
    assert files == [f"{step:04d}" for step in range(5, LEAST + 5)]
    done = final_steps(spec, ledger_of(spec))
    assert done is not None
    assert len(done["a"]) == LEAST + 4


def test_a_unit_of_the_tests_is_really_told_apart_by_a_lost_step(tmp_path: Path) -> None:
    """The tests above could not fail if a chain that lacks a step ended alike."""
    spec = chain_spec(tmp_path, steps={"a": 3})
    assert CHAIN.endswith(Chain.__name__)
    chain = Chain("a")
    chain.start(spec.table)
    chain.step(1)
    chain.step(3)
    assert chain.dump() != undisturbed(spec)["a"]
