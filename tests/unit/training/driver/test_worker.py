"""One step of one unit: what a worker keeps, what it reads back, and what it refuses."""

import dataclasses
from pathlib import Path

import pytest

from koboshi.errors import BadInput, Corrupt
from koboshi.files import sha256_of
from koboshi.training import UnitSpec
from koboshi.training.driver.worker import StepOrder, UnitWorker
from koboshi.training.spec import make_unit
from tests.support import chain_unit
from tests.support.chain_unit import Chain, Stumbling, straight
from tests.support.trainings import CHAIN, TABLE


@pytest.fixture
def first(tmp_path: Path) -> StepOrder:
    spec = UnitSpec(CHAIN, {"seed": "a"}, 3)
    return StepOrder("r" * 64, "a", spec, TABLE, 1, None, str(tmp_path / "store"), str(tmp_path / "journal.jsonl"))


def after(order: StepOrder, worker: UnitWorker) -> StepOrder:
    """Do a step, and return the order for the next one."""
    result = worker.run_step(order)
    return dataclasses.replace(order, step=order.step + 1, resume=result.checkpoint)


def test_a_checkpoint_is_named_by_its_step_digest_and_format(first: StepOrder) -> None:
    checkpoint = UnitWorker((CHAIN,)).run_step(first).checkpoint
    path = Path(first.store) / checkpoint.path
    assert checkpoint.path == f"{'r' * 16}/a/0001-{sha256_of(path)[:16]}.v1.ckpt"
    assert path.read_bytes() == straight("a", TABLE, 1)


def test_an_unbroken_run_reads_nothing_back(first: StepOrder) -> None:
    """The file may be gone: what is at hand is used."""
    worker = UnitWorker(())
    second = after(first, worker)
    assert second.resume is not None
    (Path(first.store) / second.resume.path).unlink()
    assert (Path(first.store) / worker.run_step(second).checkpoint.path).read_bytes() == straight("a", TABLE, 2)


def test_another_worker_takes_up_the_checkpoint(first: StepOrder) -> None:
    second = after(first, UnitWorker(()))
    done = UnitWorker(()).run_step(second).checkpoint
    assert (Path(first.store) / done.path).read_bytes() == straight("a", TABLE, 2)


def test_another_worker_refuses_a_flipped_checkpoint(first: StepOrder) -> None:
    second = after(first, UnitWorker(()))
    assert second.resume is not None
    (Path(first.store) / second.resume.path).write_bytes(b"something else")
    with pytest.raises(Corrupt, match="0001-"):
        UnitWorker(()).run_step(second)


def test_the_same_step_again_starts_from_the_checkpoint_and_not_from_memory(first: StepOrder) -> None:
    """A step whose commit failed is ordered again: what is in memory is one step too far."""
    worker = UnitWorker(())
    second = after(first, worker)
    worker.run_step(second)
    assert (Path(first.store) / worker.run_step(second).checkpoint.path).read_bytes() == straight("a", TABLE, 2)


def test_a_step_that_raised_leaves_nothing_half_done(first: StepOrder) -> None:
    """The same worker is given the step again: it starts from the checkpoint, and no file came of the failure."""
    spec = UnitSpec("tests.support.chain_unit:Stumbling", {"seed": "a"}, 3)
    worker = UnitWorker(())
    second = after(dataclasses.replace(first, spec=spec), worker)
    Stumbling.failures_left = 1
    with pytest.raises(ZeroDivisionError):
        worker.run_step(second)
    assert [path.name[:4] for path in (Path(first.store) / ("r" * 16) / "a").iterdir()] == ["0001"]
    assert (Path(first.store) / worker.run_step(second).checkpoint.path).read_bytes() == straight("a", TABLE, 2)


def test_hello_is_the_process() -> None:
    assert UnitWorker((CHAIN,)).hello() > 0


def test_a_worker_warms_up_each_module_of_factories_once(monkeypatch: pytest.MonkeyPatch) -> None:
    warmed: list[str] = []
    monkeypatch.setattr(chain_unit, "warm_up", lambda: warmed.append("chain"), raising=False)
    UnitWorker((CHAIN, "tests.support.chain_unit:Stumbling"))
    assert warmed == ["chain"]


@pytest.mark.parametrize("factory", ["no.such.module:x", "tests.support.chain_unit:Nothing", "nothing"])
def test_a_factory_that_is_not_there_is_named(factory: str) -> None:
    with pytest.raises(BadInput, match=factory):
        make_unit(factory, {})


def test_a_factory_gets_its_parameters() -> None:
    unit = make_unit(CHAIN, {"seed": "s", "rounds": 2})
    assert isinstance(unit, Chain)
    assert (unit.seed, unit.rounds) == ("s", 2)
