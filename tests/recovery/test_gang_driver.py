"""I5 for gangs, on workers in this process: whoever dies, and whatever rots, the rounds are the undisturbed ones."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from koboshi.errors import Corrupt, Permanent
from koboshi.events import in_words, to_all
from koboshi.ledger import steps
from koboshi.training import TrainingSpec, UnitSpec
from koboshi.training.driver.loop import train
from koboshi.training.driver.pool import step_raised
from koboshi.training.driver.restart import TRIES
from koboshi.training.driver.worker import StepOrder
from tests.support.chain_unit import straight_gang
from tests.support.local_pool import AFTER, BEFORE, LocalPool
from tests.support.trainings import chain_spec, events_of, final_states, journal_of, ledger_of

MEMBERS = ("g/0", "g/1", "g/2")
STEPS = 4


def gang_spec(folder: Path, actors: int = 2) -> TrainingSpec:
    spec = chain_spec(folder, steps=dict.fromkeys(MEMBERS, STEPS))
    units = {
        name: UnitSpec("tests.support.chain_unit:GangChain", unit.params, STEPS, gang="g")
        for name, unit in spec.units.items()
    }
    object.__setattr__(spec.place, "actors", actors)
    object.__setattr__(spec, "units", units)
    return spec


def undisturbed(spec: TrainingSpec) -> dict[str, bytes]:
    return straight_gang(MEMBERS, spec.table, STEPS)


def run(spec: TrainingSpec, pool: LocalPool) -> list[str]:
    said: list[str] = []
    train(spec, pool, ledger_of(spec), to_all(journal_of(spec).emit, in_words(said.append)))
    return said


@pytest.mark.parametrize("actors", [1, 2, 3])
def test_rounds_are_the_same_whatever_the_number_of_workers(tmp_path: Path, actors: int) -> None:
    spec, pool = gang_spec(tmp_path, actors), LocalPool()
    run(spec, pool)
    assert final_states(spec) == undisturbed(spec)
    assert [step for _, step in pool.begun] == [number for number in range(1, STEPS + 1) for _ in MEMBERS]


@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("step", [1, 2, STEPS])
@pytest.mark.parametrize("member", MEMBERS)
def test_a_death_costs_its_share_of_the_round(tmp_path: Path, member: str, step: int, when: str) -> None:
    spec, pool = gang_spec(tmp_path), LocalPool([(member, step, when)])
    run(spec, pool)
    assert final_states(spec) == undisturbed(spec)
    assert len(pool.begun) == len(MEMBERS) * STEPS + 1
    assert pool.begun.count((member, step)) == 2


class Rotting(LocalPool):
    """When `member` is at `step`, the states of others after step `bad` rot, and its worker dies."""

    def __init__(self, spec: TrainingSpec, member: str, step: int, rotten: Sequence[tuple[str, int]]) -> None:
        super().__init__([(member, step, BEFORE)])
        self.spec, self.member, self.step, self.rotten = spec, member, step, rotten

    def begin(self, worker: str, order: StepOrder) -> None:
        if (order.unit, order.step) == (self.member, self.step):
            for name, bad in self.rotten:
                for file in (self.spec.place.checkpoints / self.spec.key[:16] / name).glob(f"{bad:04d}-*.ckpt"):
                    file.chmod(0o600)
                    file.write_bytes(b"rotten")
            self.rotten = ()
        super().begin(worker, order)


@pytest.mark.parametrize(
    "rotten",
    [[("g/1", 2)], [("g/0", 2)], [("g/0", 2), ("g/1", 2)], [("g/0", 2), ("g/0", 1)], [("g/2", 2), ("g/1", 1)]],
)
def test_a_state_that_rots_is_made_again_by_its_member_alone(tmp_path: Path, rotten: list[tuple[str, int]]) -> None:
    spec = gang_spec(tmp_path)
    pool = Rotting(spec, "g/0", 3, rotten)
    run(spec, pool)
    assert final_states(spec) == undisturbed(spec)
    quarantined = {(event["unit"], event["step"]) for event in events_of(spec, "checkpoint set aside")}
    assert set(rotten) <= quarantined
    assert {name for name, _ in quarantined} == {name for name, _ in rotten}


def test_another_driver_goes_on_with_the_round(tmp_path: Path) -> None:
    """One member failed, so the whole gang was quarantined; the next driver goes on from what was committed."""
    spec = gang_spec(tmp_path)
    with pytest.raises(Permanent, match="0 of 3 units are trained"):
        run(spec, LocalPool([("g/1", 3, BEFORE)] * TRIES))
    done = {name: len(steps.committed(ledger_of(spec), spec.key, name)) for name in MEMBERS}
    assert done["g/1"] == 2
    run(spec, LocalPool())
    assert final_states(spec) == undisturbed(spec)


def test_a_state_that_was_made_again_before_its_reader_was_heard_is_no_reason_to_give_up(tmp_path: Path) -> None:
    """Two members read a bad state; when the driver hears of the second one, the state is good again."""
    spec = gang_spec(tmp_path)

    class Late(LocalPool):
        def begin(self, worker: str, order: StepOrder) -> None:
            if (order.unit, order.step) == ("g/1", 3) and ("g/1", 3) not in self.begun:
                self.begun.append(("g/1", 3))
                self.events.append(step_raised(worker, Corrupt("checkpoint g/0/0002 is rotten")))
            else:
                super().begin(worker, order)

    run(spec, Late())
    assert final_states(spec) == undisturbed(spec)
