"""What a driver shows: the run's state and its workers as they are, whole, at most once a second, never in its way."""

from pathlib import Path

import pytest

from koboshi.errors import BadInput
from koboshi.heartbeat import Beat
from koboshi.heartbeat.beat import Doing
from koboshi.training.driver.loop import train
from koboshi.training.driver.run_state import Poisoned, RunState, UnitState
from koboshi.training.driver.status import RunStatus, StatusFile, WorkerStatus, read_status, status_path
from tests.support.local_pool import LocalPool
from tests.support.trainings import chain_spec, journal_of, ledger_of

KEY = "ab" * 32
STATE = RunState(
    actors=2,
    units={
        "bad": UnitState(4, 1),
        "busy": UnitState(9, 3, ahead=2, recovering=True),
        "ready": UnitState(2, 2),
        "member": UnitState(5, 2),
        "next": UnitState(5),
    },
    waiting=("next",),
    at={"w-1": "busy"},
    poisoned={"bad": Poisoned(2, "it raises", again=False)},
    idle=("w-2",),
    starting=1,
    held=frozenset({"member"}),
)
BEAT = Beat("w-1", Doing("busy", 6, "checkpoint"), "R", 2.5, 7.0)
SEEN = (WorkerStatus.of("w-1", 11, "north", BEAT, 0.25, 0.75), WorkerStatus.of("w-2", 12, "south", None, None, 0.0))


def test_each_unit_is_in_its_place_and_each_worker_at_its_step() -> None:
    standing = RunStatus.of(KEY, "job", STATE, SEEN, 5.0)
    assert {name: unit.place for name, unit in standing.units.items()} == {
        "bad": "quarantined",
        "busy": "at work",
        "ready": "done",
        "member": "held",
        "next": "waiting",
    }
    assert (standing.units["busy"].at_risk, standing.units["busy"].recovering) == (2, True)
    assert standing.units["bad"].reason == "step 2: it raises"
    busy, spare = standing.workers
    assert (busy.unit, busy.step, busy.state, busy.phase, busy.cpu_s) == ("busy", 6, "R", "checkpoint", 2.5)
    assert (busy.silence_s, busy.phi) == (0.25, 0.75)
    assert (spare.unit, spare.state, spare.silence_s) == ("", "", None)
    assert standing.starting == 1


def test_a_run_that_has_ended_has_no_workers() -> None:
    ended = RunState(2, {"a": UnitState(1, 1)}, idle=("w-1",), starting=1)
    standing = RunStatus.of(KEY, "job", ended, SEEN, 5.0)
    assert (standing.workers, standing.starting) == ((), 0)


def test_what_was_written_comes_back() -> None:
    standing = RunStatus.of(KEY, "job", STATE, SEEN, 5.0)
    assert RunStatus.from_json(standing.to_json()) == standing


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "units": 3}'])
def test_what_is_no_status_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadInput, match="status"):
        RunStatus.from_json(text)


def test_it_is_written_once_a_second_and_at_the_end(tmp_path: Path) -> None:
    path, asked, now = status_path(tmp_path, KEY), list[float](), 0.0

    def seen() -> tuple[WorkerStatus, ...]:
        asked.append(now)
        return SEEN

    file = StatusFile(path, KEY, "job", seen, lambda: now)
    for hundredth in range(250):
        now = hundredth / 100
        file.show(STATE)
    assert asked == [0.0, 1.0, 2.0]
    file.show(RunState(2, {"a": UnitState(1, 1)}))
    shown = read_status(tmp_path, KEY)
    assert shown is not None
    assert shown.units["a"].place == "done"
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_another_run_whose_key_begins_alike_is_not_taken_for_this_one(tmp_path: Path) -> None:
    assert read_status(tmp_path, KEY) is None
    StatusFile(status_path(tmp_path, KEY), KEY, "job", tuple).show(STATE)
    assert read_status(tmp_path, KEY[:16] + "0" * 48) is None


def test_a_folder_that_takes_no_file_stops_no_training(tmp_path: Path) -> None:
    (tmp_path / "training").write_text("in the way")
    StatusFile(status_path(tmp_path, KEY), KEY, "job", tuple).show(STATE)
    assert (tmp_path / "training").read_text() == "in the way"


def test_the_driver_shows_each_state_that_it_waits_in_and_the_last_one(tmp_path: Path) -> None:
    spec, shown = chain_spec(tmp_path, steps={"a": 3}), list[RunState]()
    train(spec, LocalPool(), ledger_of(spec), journal_of(spec).emit, shown.append)
    assert [state.units["a"].done for state in shown if state.at or state.finished][-1] == 3
    assert {state.units["a"].done for state in shown} == {0, 1, 2, 3}
    assert shown[-1].finished
