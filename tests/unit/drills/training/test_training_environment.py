"""Where a fault finds its moment: in the middle of the chosen step, or of the next one when that has passed."""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from koboshi.drills.drill import Injection
from koboshi.drills.kit.faults import MIDDLE_S
from koboshi.drills.training import ray_worker_hung, training_environment
from koboshi.drills.training.ray_worker_hung import HungWorkerEnvironment
from koboshi.drills.training.training_environment import CONTROL, TrainingEnvironment
from koboshi.events import JobBegan, WorkerReady
from koboshi.journal import Journal
from koboshi.settings import Drills, Ray, Settings
from koboshi.training import UnitSpec
from koboshi.training.on_ray import step_name
from tests.support.trainings import chain_spec

TOOK = Injection("SIGKILL", "a worker", 1.0, 1.0, took=True)


class Nothing:
    """Stands for a workload where none is asked for."""


class Files:
    """The steps that are on disk, which a machine that is too busy sees late."""

    def __init__(self) -> None:
        self.highest: dict[str, int] = {}
        self.stopped = False

    def reached(self, _before_s: float) -> dict[str, int]:
        return self.highest

    def stop(self) -> None:
        self.stopped = True


def made(kind: type[TrainingEnvironment], folder: Path) -> Any:
    """A training of six steps that runs, with its victim's step 4 chosen."""
    drills = Drills(workload=f"{__name__}:Nothing")
    environment: Any = kind(Settings(project=folder, drills=drills, ray=Ray(jobs_url="http://127.0.0.1:9")), [].append)
    environment.spec = chain_spec(folder, steps={"a": 6, f"a{CONTROL}": 6})
    environment.victim, environment.step, environment.files = "a", 4, Files()
    environment._training = Future()
    return environment


@pytest.fixture
def environment(tmp_path: Path) -> Any:
    return made(TrainingEnvironment, tmp_path)


class Cluster:
    """A worker is seen at the steps that `seen` names; whoever looks for another one comes too late."""

    def __init__(self, environment: Any, *seen: int) -> None:
        self.environment, self.seen = environment, seen
        self.asked: list[str] = []
        self.needed_s: list[float] = []
        self.killed, self.is_gone = 0, False

    def kill(self) -> None:
        """The worker is replaced, and the training comes to its end."""
        self.killed += 1
        self.environment._training.set_result(None)
        if self.is_gone:
            raise psutil.NoSuchProcess(11)

    def look(
        self, doing: str, pids: Callable[[], Collection[int]], over: Callable[[], bool], cpu_s: float
    ) -> SimpleNamespace | None:
        assert not over(), "it is looked for before its step is on disk"
        self.asked.append(doing)
        self.needed_s.append(cpu_s)
        if any(doing == f"ray::{step_name('a', step)}" for step in self.seen):
            return SimpleNamespace(process=SimpleNamespace(pid=next(iter(pids())), kill=self.kill))
        self.environment.files.highest["a"] = self.environment.step
        assert over(), "what is on disk has passed"
        return None


def watched(environment: Any, monkeypatch: pytest.MonkeyPatch, *seen: int) -> Cluster:
    cluster = Cluster(environment, *seen)
    monkeypatch.setattr(training_environment, "caught_in_the_middle", cluster.look)
    Journal(environment.spec.place.journal).emit(WorkerReady(worker="w", pid=11, node="n"))
    return cluster


def test_the_worker_at_the_chosen_step_is_caught(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = watched(environment, monkeypatch, 4, 5)
    assert environment.catch().process.pid == 11
    assert environment.step == 4
    assert cluster.needed_s == [MIDDLE_S]


def test_a_step_that_was_missed_has_the_next_one_chosen(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And everything that is said of the fault is said of that step."""
    cluster = watched(environment, monkeypatch, 5)
    assert environment.catch().process.pid == 11
    assert environment.step == 5
    assert (environment.at, environment.doing) == ("a's step 5", f"ray::{step_name('a', 5)}")
    assert cluster.asked == [f"ray::{step_name('a', step)}" for step in (4, 5)]


def test_the_last_step_is_not_chosen(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There has to be something to go on to."""
    cluster = watched(environment, monkeypatch, 6)
    assert environment.catch() is None
    assert len(cluster.asked) == 2


def test_pids_are_read_from_the_runs_own_journal(environment: Any) -> None:
    """Workers' and drivers' apart, in the order in which they came; before the journal is there, none."""
    assert (environment.pids(), environment.drivers()) == ([], [])
    journal = Journal(environment.spec.place.journal)
    for event in (
        JobBegan(job="key-1", pid=7),
        WorkerReady(worker="w1", pid=12, node="n"),
        WorkerReady(worker="w2", pid=11, node="n"),
        JobBegan(job="key-2", pid=8),
    ):
        journal.emit(event)
    assert environment.pids() == [12, 11]
    assert environment.drivers() == [7, 8]


def test_nothing_is_injected_without_a_moment(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    watched(environment, monkeypatch)
    assert environment.in_the_middle(lambda _caught: TOOK) == []


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_silenced_worker_is_ended_and_the_training_waited_for(
    environment: Any, monkeypatch: pytest.MonkeyPatch, is_gone: bool
) -> None:
    """Nothing of it is left stopped or hanging; mostly the pool was there first."""
    cluster = watched(environment, monkeypatch, 4)
    cluster.is_gone = is_gone
    assert environment.in_the_middle(lambda _caught: TOOK, silences=True) == [TOOK]
    environment.close(keep_files=True)
    assert cluster.killed == 1
    assert environment.files.stopped


def test_a_worker_that_was_not_silenced_is_left_to_ray(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = watched(environment, monkeypatch, 4)
    assert environment.in_the_middle(lambda _caught: TOOK) == [TOOK]
    environment.close(keep_files=True)
    assert (cluster.killed, environment.files.stopped) == (0, True)


@pytest.mark.parametrize(("hangs", "injected"), [("11", True), ("12", False), (None, False)])
def test_a_step_hangs_when_its_own_process_has_noted_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: str | None, injected: bool
) -> None:
    """A step that only takes long is none that hangs. It counts from the moment of the note."""
    environment = made(HungWorkerEnvironment, tmp_path)
    cluster = watched(environment, monkeypatch, 4)
    environment.folder.mkdir(parents=True)
    if hangs:
        environment._once.write_text(hangs)
    (found,) = environment.let_it_hang()
    assert cluster.needed_s == [ray_worker_hung.BURNT_S]
    assert (found is not None) is injected
    if found:
        assert (found.pid, found.took) == (11, True)
        assert found.at_s == pytest.approx(environment._once.stat().st_mtime, abs=1e-3)


def test_one_of_the_units_hangs_one_takes_long_and_the_controls_are_left_alone(tmp_path: Path) -> None:
    units = {name: UnitSpec("module:unit", {"seed": 7}, 6) for name in ("a", "b", "c")}
    trained = made(HungWorkerEnvironment, tmp_path)._trained(units)
    assert list(trained) == ["a", f"a{CONTROL}", "b", f"b{CONTROL}", "c", f"c{CONTROL}"]
    slowed = {name: unit.params for name, unit in trained.items() if unit != units["a"]}
    assert {name: (params["at"], bool(params["once"])) for name, params in slowed.items()} == {
        "a": (4, True),
        "b": (4, False),
    }
