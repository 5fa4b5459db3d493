"""A checkpoint whose bytes changed is found before use, named, quarantined, and the step before it is used (I2, I5)."""

from pathlib import Path

import pytest

from koboshi.errors import Corrupt
from koboshi.events import in_words, to_all
from koboshi.ledger import leases, steps
from koboshi.ledger.leases import HeldLease
from koboshi.training.checkpoints import read_checkpoint
from koboshi.training.checkpoints.retention import LEAST
from koboshi.training.driver.loop import train
from koboshi.training.driver.pool import WorkerGone
from koboshi.training.driver.resumption import Resumption
from koboshi.training.spec import TrainingSpec
from tests.support.local_pool import BEFORE, LocalPool
from tests.support.trainings import chain_spec, events_of, final_states, journal_of, ledger_of, undisturbed


def flip(spec: TrainingSpec, unit: str, step: int) -> Path:
    """Flip one byte of a committed checkpoint."""
    committed = {s.checkpoint.step: s.checkpoint for s in steps.committed(ledger_of(spec), spec.key, unit)}
    path = spec.place.checkpoints / committed[step].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    return path


def trained(spec: TrainingSpec, pool: LocalPool | None = None) -> tuple[LocalPool, list[str]]:
    said: list[str] = []
    pool = pool or LocalPool()
    train(spec, pool, ledger_of(spec), to_all(journal_of(spec).emit, in_words(said.append)))
    return pool, said


@pytest.mark.parametrize("bad", [1, 2, LEAST])
def test_the_step_before_is_used_and_it_says_so(tmp_path: Path, bad: int) -> None:
    """Flip the newest checkpoints (all that are kept, at last): exactly the flipped steps are done again."""
    spec = chain_spec(tmp_path, steps={"a": LEAST + 2, "b": 2})
    trained(spec)
    last = LEAST + 2
    flipped = [flip(spec, "a", step) for step in range(last - bad + 1, last + 1)]
    pool, said = trained(spec)
    first = last - bad + 1 if bad < LEAST else 1
    assert pool.begun == [("a", step) for step in range(first, last + 1)]
    assert final_states(spec) == undisturbed(spec)
    for path in flipped:
        assert any("is quarantined, the step before it is used" in line and str(path) in line for line in said)
    assert {event["step"] for event in events_of(spec, "checkpoint set aside")} >= set(range(last - bad + 1, last + 1))


def test_a_checkpoint_that_goes_bad_while_the_run_is_on_is_not_used_after_a_death(tmp_path: Path) -> None:
    """The worker dies at step 4 and the file of step 3 was flipped: the unit goes on from step 2."""
    spec = chain_spec(tmp_path, steps={"a": 5})

    class Flipping(LocalPool):
        def next_events(self, timeout_s):  # type: ignore[no-untyped-def]
            events = super().next_events(timeout_s)
            if any(isinstance(event, WorkerGone) for event in events):
                flip(spec, "a", 3)
            return events

    pool, _ = trained(spec, Flipping([("a", 4, BEFORE)]))
    assert [step for _, step in pool.begun] == [1, 2, 3, 4, 3, 4, 5]
    assert final_states(spec) == undisturbed(spec)


def test_a_missing_file_is_as_bad_as_a_flipped_one(tmp_path: Path) -> None:
    spec = chain_spec(tmp_path, steps={"a": 3})
    trained(spec)
    newest = steps.committed(ledger_of(spec), spec.key, "a")[-1].checkpoint
    (spec.place.checkpoints / newest.path).unlink()
    lease, said = leases.acquire(ledger_of(spec), "x", "us", 60), list[str]()
    held = HeldLease(ledger_of(spec), lease, 5.0)
    found = Resumption(spec, ledger_of(spec), held, in_words(said.append))
    assert found.done("a") == 2
    assert "missing" in said[0]


def test_reading_a_flipped_checkpoint_is_refused(tmp_path: Path) -> None:
    """The last guard, in the worker itself."""
    spec = chain_spec(tmp_path, steps={"a": 2})
    trained(spec)
    newest = steps.committed(ledger_of(spec), spec.key, "a")[-1].checkpoint
    path = flip(spec, "a", 2)
    with pytest.raises(Corrupt, match=str(path)):
        read_checkpoint(spec.place.checkpoints, newest)
