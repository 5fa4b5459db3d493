"""What is seen of a training on a terminal, over a pipe and by programs; and the verbs without a cluster."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from koboshi.cli import app
from koboshi.errors import BadInput, NotConfigured, Permanent, Transient
from koboshi.events import JobBegan, JobDone
from koboshi.heartbeat import Rhythm, Watch
from koboshi.ledger import intents
from koboshi.ledger.leases import holding
from koboshi.training import TrainingSpec, attach
from koboshi.training.driver import status as status_file
from koboshi.training.driver.loop import run_job, train
from koboshi.training.driver.pool import Pool, SupervisedPool
from koboshi.training.driver.run_state import RunState
from koboshi.training.driver.status import RunStatus, StatusFile, WorkerStatus, read_status, status_path
from koboshi.training.on_ray import actor_name
from koboshi.training.on_ray.ray_submit import submission
from koboshi.training.progress import observer
from koboshi.training.progress.observer import ChangedJson, ChangedLines, Observer, fitting, follow, wait_for_next
from koboshi.training.progress.overview import Overview
from koboshi.training.progress.rich_overview import brief, lasted, picture, short, shown_units
from koboshi.training.spec import read_specification
from tests.support.local_pool import BEFORE, LocalPool
from tests.support.memory_beats import MemoryBeats
from tests.support.trainings import chain_spec, journal_of, ledger_of

UNITS = {"a-unit-with-a-name-longer-than-a-column": 6, "steady": 4, "doomed": 3}


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    (tmp_path / "koboshi.toml").write_text("")
    (tmp_path / "ray_jobs").mkdir()
    (tmp_path / "ray_jobs" / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    for name in ("KOBOSHI_PROJECT", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KOBOSHI_STATE_DIR", str(tmp_path))
    return chain_spec(tmp_path, steps=UNITS)


def watched(spec: TrainingSpec, deaths: list[tuple[str, int, str]], attempt: int = 1) -> list[Overview]:
    """Train in this process, with what a watcher sees before each wait."""
    pool, looker, seen = LocalPool(deaths), Observer(Path(spec.place.state_dir), ledger_of(spec)), list[Overview]()
    job, folder = spec.job_name(attempt), Path(spec.place.state_dir)

    def workers() -> list[WorkerStatus]:
        return [WorkerStatus.of(name, 10 + n, "a-node", None, None, 0.0) for n, name in enumerate(pool.workers)]

    def show(state: RunState) -> None:
        StatusFile(status_path(folder, spec.key), spec.key, job, workers).show(state)
        seen.append(looker.look(spec.key))

    journal_of(spec).emit(JobBegan(run=spec.key, job=job, pid=1))
    train(spec, pool, ledger_of(spec), journal_of(spec).emit, show)
    journal_of(spec).emit(JobDone(run=spec.key, job=job))
    return [*seen, looker.look(spec.key)]


@pytest.fixture(scope="module")
def recovery(tmp_path_factory: pytest.TempPathFactory) -> list[Overview]:
    """What is seen of a training whose worker dies in the middle."""
    return watched(chain_spec(tmp_path_factory.mktemp("recovery"), steps=UNITS), [("steady", 2, BEFORE)])


def doomed(spec: TrainingSpec) -> Overview:
    with pytest.raises(Permanent):
        watched(spec, [("steady", 2, BEFORE), *[("doomed", 2, BEFORE)] * 4])
    return Observer(Path(spec.place.state_dir), ledger_of(spec)).look(spec.key)


def drawn(what: Any, width: int = 80) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(what, highlight=False)
    return captured.get()


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, ["train", *words])


def test_a_watcher_sees_the_run_from_its_first_worker_to_its_end(recovery: list[Overview]) -> None:
    seen = recovery
    assert [one.outcome for one in seen[:-1]] == ["running"] * (len(seen) - 2) + ["complete"]
    assert seen[-1].outcome == "complete"
    assert any(unit.place == "recovering" for one in seen for unit in one.units)
    assert any(worker.unit == "" for one in seen for worker in one.workers), "the warm spare"
    assert (seen[-1].steps_done, seen[-1].steps, seen[-1].recoveries) == (13, 13, 1)
    assert all(len(line) <= 80 for one in seen for line in drawn(picture(one)).splitlines())


def test_a_picture_names_units_workers_and_what_came_up(recovery: list[Overview]) -> None:
    middle = recovery[12]
    text = drawn(picture(middle))
    for word in (
        f"{middle.key[:16]}-1",
        "running",
        "steady",
        "at work",
        "first_byte",
        "warm spare",
        "a-node",
        "recovered",
    ):
        assert word in text
    assert "not heard" in text


def test_a_run_that_is_partial_says_which_unit_is_missing_and_why(spec: TrainingSpec) -> None:
    seen = doomed(spec)
    assert seen.outcome == "partial"
    text = drawn(picture(seen), width=120)
    assert "step 2: killed by the test" in text
    assert "1 quarantined" in text
    assert seen.workers == ()


def test_of_many_units_those_that_need_a_look_are_shown(tmp_path: Path) -> None:
    spec = chain_spec(tmp_path, steps={f"unit-{n:03d}": 1 for n in range(30)})
    middle = watched(spec, [])[18]
    shown = shown_units(middle.units, 8)
    assert len(shown) == 8
    assert {unit.name for unit in middle.units if unit.place == "at work"} <= {unit.name for unit in shown}
    text = drawn(fitting(middle, 30))
    assert "more" in text
    assert len(text.splitlines()) <= 30


def test_a_job_leaves_what_a_watcher_needs(spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script's own path: a job whose pool listens to its workers shows them, one that does not shows its units."""

    @contextmanager
    def listening(*_anything: object) -> Iterator[Pool]:
        yield SupervisedPool(LocalPool(), MemoryBeats(), Watch(Rhythm(), time.monotonic()))

    shown, write = list[RunStatus](), StatusFile.show

    def show(self: StatusFile, state: RunState) -> None:
        write(self, state)
        if (status := read_status(tmp_path, spec.key)) is not None:
            shown.append(status)

    (tmp_path / "s.json").write_text(spec.to_json())
    monkeypatch.setattr(sys, "argv", ["train.py", "s.json", "by-hand"])
    monkeypatch.setattr(StatusFile, "show", show)
    monkeypatch.setattr(status_file, "EVERY_S", 0.0)
    run_job(listening)
    assert {worker.pid for one in shown for worker in one.workers} == {os.getpid()}
    assert {one.job for one in shown} == {"by-hand"}
    seen = Observer(tmp_path, ledger_of(spec)).look(spec.key)
    assert (seen.outcome, seen.name, seen.steps_done, seen.steps) == ("complete", f"{spec.key[:16]} by-hand", 13, 13)
    assert Observer(tmp_path, ledger_of(spec)).chosen("by-hand") == spec.key


def test_over_a_pipe_each_step_and_each_event_is_a_line_once(recovery: list[Overview]) -> None:
    lines = list[str]()
    upcoming, show = iter(recovery), ChangedLines(lines.append).show
    follow(lambda: next(upcoming), show, lambda: None)
    assert sum(line.startswith("steady: step ") for line in lines) == 4
    assert sum("recovered" in line for line in lines) == 1
    assert "is complete, 13 of 13 steps committed, 3 of 3 units done, 1 recovery" in lines[-1]


def test_programs_get_an_object_for_each_change(spec: TrainingSpec) -> None:
    seen, lines = watched(spec, []), list[str]()
    show = ChangedJson(lines.append).show
    for one in seen:
        show(one)
        show(one)
    objects = [json.loads(line) for line in lines]
    assert objects[0]["ended"] is False
    assert (objects[-1]["outcome"], objects[-1]["steps_done"], objects[-1]["ended"]) == ("complete", 13, True)
    assert len({json.dumps({**one, "now": 0, "shown_s": 0}) for one in objects}) == len(objects)


def test_workers_are_told_by_their_numbers() -> None:
    assert short(actor_name("job-1", 3), "job-1") == "worker 3"
    assert short(actor_name("job-1", 3), "job-2") == actor_name("job-1", 3)
    assert brief(f"a: died on {actor_name('job-1', 3)} (x)", "job-1") == "a: died on worker 3 (x)"


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (119, "119 s"), (150, "2 min 30 s"), (9000, "2.5 h")])
def test_times(seconds: float, text: str) -> None:
    assert lasted(seconds) == text


def test_verbs_say_so_when_there_is_nothing_yet(spec: TrainingSpec) -> None:
    for words in (["watch"], ["watch", "--once"], ["history"]):
        done = invoke(*words)
        assert (done.exit_code, "No training" in done.output) == (0, True)
    assert json.loads(invoke("watch", "--json").output) is None
    assert json.loads(invoke("history", "--json").output) == []


def test_watch_shows_how_the_newest_one_ended_and_ends(spec: TrainingSpec) -> None:
    doomed(spec)
    for words in (["watch"], ["watch", "--once"], ["watch", spec.key[:8]], ["watch", spec.job_name(1)]):
        done = invoke(*words)
        assert done.exit_code == 0
        assert "partial" in done.output
    assert json.loads(invoke("watch", "--once", "--json").output)["key"] == spec.key
    assert json.loads(invoke("watch", "--json").output.splitlines()[-1])["outcome"] == "partial"


def test_watch_always_says_which_training_it_shows(spec: TrainingSpec) -> None:
    """Its key, when it began, how it stands; of one that had ended before, how to wait for the next one."""
    seen = doomed(spec)
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seen.began_at))
    first = invoke("watch").stdout.splitlines()[0]
    assert first == f"training {spec.job_name(1)}, began {began}, is partial"
    assert f"began {began}" in drawn(picture(seen))
    assert "--next" in invoke("watch").stderr
    assert invoke("watch", "--json").stderr == ""


def test_the_next_training_is_one_that_was_not_there(spec: TrainingSpec, tmp_path: Path) -> None:
    """Another key, or a further attempt at a known one; what is there already is not it."""
    doomed(spec)
    observer, ledger = Observer(tmp_path, ledger_of(spec)), ledger_of(spec)
    before = observer.beginnings()
    assert observer.begun_since(before) is None
    intents.claim(ledger, "c" * 64)
    assert observer.begun_since(before) == "c" * 64
    before = observer.beginnings()
    again = intents.claim(ledger, spec.key)
    intents.close(ledger, again, "failed", "no nodes")
    intents.claim(ledger, spec.key)
    assert observer.begun_since(before) == spec.key


def test_waiting_for_the_next_training_has_the_end_that_is_asked_for() -> None:
    """It looks again until one has begun, or until the time is over."""
    answers = iter([None, None, "a-key"])
    assert wait_for_next(lambda: next(answers), None, lambda: None) == "a-key"
    with pytest.raises(Transient, match="no training began within 0 s"):
        wait_for_next(lambda: None, 0.0, lambda: None)


def test_watch_next_shows_what_begins_after_it(spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called right after a trigger, while the newest training is the one before; programs get that one alone."""
    doomed(spec)
    key = "c" * 64

    def begins(_self: Observer, before: set[tuple[str, str]]) -> str:
        ledger = ledger_of(spec)
        intents.close(ledger, intents.claim(ledger, key), "failed", "no nodes")
        assert (key, f"{key[:16]}-1") not in before
        return key

    monkeypatch.setattr(Observer, "begun_since", begins)
    done = invoke("watch", "--next", "--once", "--json")
    assert json.loads(done.stdout)["key"] == key
    assert f"the newest one: training {spec.job_name(1)}, began" in done.stderr


def test_watch_next_ends_in_the_ways_it_says(spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """75 after its time, 130 on Ctrl-C, 2 for a key that the next training cannot have."""
    late = invoke("watch", "--next", "--within", "0")
    assert isinstance(late.exception, Transient)
    assert invoke("watch", "--next", "cafe").exit_code == 2
    assert invoke("watch", "--within", "5").exit_code == 2

    def interrupted(*_anything: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Observer, "begun_since", interrupted)
    assert invoke("watch", "--next").exit_code == 130


@pytest.mark.parametrize("word", ["", "ffff"])
def test_watch_names_one_training(spec: TrainingSpec, tmp_path: Path, word: str) -> None:
    doomed(spec)
    intents.claim(ledger_of(spec), "c" * 64)
    with pytest.raises(BadInput, match="koboshi train history"):
        Observer(tmp_path, ledger_of(spec)).chosen(word)


def test_a_live_picture_ends_with_the_run(spec: TrainingSpec) -> None:
    seen = iter([watched(spec, [])[-1]])
    console = Console(width=80, height=40, force_terminal=True)
    with console.capture() as captured:
        observer.watch_live(lambda: next(seen), console)
    assert "complete" in captured.get()


def test_history_has_each_training_once_the_newest_last(spec: TrainingSpec, tmp_path: Path) -> None:
    doomed(spec)
    other = chain_spec(tmp_path / "other", steps={"only": 2})
    ledger, key = ledger_of(spec), "c" * 64
    failed = intents.claim(ledger, key)
    intents.close(ledger, failed, "failed", "no nodes")
    intents.claim(ledger, key)
    with holding(ledger, f"training/{key}", "somebody", 60.0):
        done = json.loads(invoke("history", "--json").output)
    assert [(one["key"], one["outcome"], one["attempts"]) for one in done] == [
        (spec.key, "partial", 1),
        (key, "running", 2),
    ]
    assert other.key not in {one["key"] for one in done}
    text = invoke("history").output
    assert all(len(line) <= 80 for line in text.splitlines())
    assert text.index(spec.job_name(1)) < text.index(f"{key[:16]}-2")
    assert spec.key not in [one["key"] for one in json.loads(invoke("history", "--json", "-n", "1").output)]


def test_the_specification_tells_the_steps_where_the_driver_does_not(spec: TrainingSpec) -> None:
    watched(spec, [])
    status_path(Path(spec.place.state_dir), spec.key).unlink()
    look = Observer(Path(spec.place.state_dir), ledger_of(spec)).look
    assert look(spec.key).steps is None
    submission(spec, Path("job.py"))
    assert look(spec.key).steps == 13


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ("no json", "no specification"),
        ("[]", "no specification"),
        ('{"format": 99}', "format 99"),
        ('{"format": 2}', "no specification"),
    ],
)
def test_what_is_no_specification_is_refused_with_a_sentence(tmp_path: Path, text: str | None, told: str) -> None:
    file = tmp_path / "specification.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInput, match=told):
        read_specification(file)


def test_a_specification_of_another_machine_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text(chain_spec(tmp_path, steps={"a": 1}, project=tmp_path / "elsewhere").to_json())
    with pytest.raises(BadInput, match="not on this machine"):
        read_specification(file)


def test_a_specification_that_was_changed_under_its_key_is_refused(spec: TrainingSpec, tmp_path: Path) -> None:
    """What is committed under a key must be what the key stands for; where it is worked on may differ."""
    submission(spec, Path("job.py"))
    file = tmp_path / "changed.json"
    file.write_text(spec.to_json().replace('"actors": 2', '"actors": 5'))
    assert read_specification(file).place.actors == 5
    file.write_text(spec.to_json().replace('"steps": 6', '"steps": 7'))
    with pytest.raises(BadInput, match="the same key"):
        read_specification(file)


def test_run_without_a_cluster_says_how_to_get_one(spec: TrainingSpec, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(spec.to_json())
    done = invoke("run", "s.json")
    assert isinstance(done.exception, NotConfigured)
    assert "koboshi up" in str(done.exception)


def test_run_names_a_script_that_is_missing(cluster: TrainingSpec) -> None:
    done = invoke("run", "s.json", "--job", "elsewhere.py")
    assert isinstance(done.exception, BadInput)
    assert "elsewhere.py" in str(done.exception)


@pytest.fixture
def cluster(spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    (tmp_path / "s.json").write_text(spec.to_json())
    monkeypatch.setenv("KOBOSHI_RAY__JOBS_URL", "http://127.0.0.1:9")
    return spec


def test_run_of_what_is_committed_trains_nothing_and_tells_the_final_states(cluster: TrainingSpec) -> None:
    last = watched(cluster, [])[-1]
    done = invoke("run", "s.json")
    assert (done.exit_code, last.outcome) == (0, "complete")
    assert "nothing is trained" in done.output
    assert done.output.count("final state") == len(UNITS)


def test_an_interrupted_run_says_how_to_go_on(cluster: TrainingSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_anything: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(attach, "ensure_trained", interrupted)
    done = invoke("run", "s.json")
    assert done.exit_code == 130
    assert f"koboshi train watch {cluster.key[:16]}" in done.output
    assert "runs on" in done.output


def test_an_interrupted_watch_leaves_without_a_stack_trace(
    cluster: TrainingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(cluster, [])

    def interrupted(*_anything: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(observer, "follow", interrupted)
    assert invoke("watch").exit_code == 130
