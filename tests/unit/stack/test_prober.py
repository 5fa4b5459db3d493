"""The prober asks what is due, one question at a time for each part, and records each answer."""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from koboshi.probes import Health
from koboshi.settings import Settings
from koboshi.stack import part_state, probe_records, prober
from koboshi.stack.part import Part, Start, StartHistory, read_table, write_table
from koboshi.stack.part_state import newest_starts
from koboshi.stack.parts.prober import probe_prober
from koboshi.stack.paths import StackPaths, find_paths
from koboshi.stack.probe_records import EVERY_S, STALE_S, WORK_EVERY_S, ProbeRecord
from koboshi.stack.prober import Prober, due, foreseen

NOW = 1_000_000.0


class Inline(ThreadPoolExecutor):
    """Does at once what it is given, so that nobody waits."""

    def submit(self, do: Callable[..., None]) -> Future[None]:  # type: ignore[override]
        done: Future[None] = Future()
        done.set_result(do())
        return done


class Never(ThreadPoolExecutor):
    """Whatever it is given goes on for ever."""

    def __init__(self) -> None:
        super().__init__(1)
        self.given = 0

    def submit(self, _do: Callable[..., None]) -> Future[None]:  # type: ignore[override]
        self.given += 1
        return Future()


def part(name: str, group: str, folder: Path) -> Part:
    return Part(name, group, ("true",), {}, folder, folder / f"{name}.log")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StackPaths:
    """MLflow, Ray with two programs, and the prober are started; what they answer stands in `ANSWERS`."""
    (tmp_path / "koboshi.toml").write_text("")
    for name in ("KOBOSHI_PROJECT", "KOBOSHI_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    found = find_paths(tmp_path, tmp_path / ".koboshi")
    found.own.mkdir(parents=True)
    parts = [part("mlflow", "mlflow", tmp_path), part("ray-head", "ray", tmp_path), part("ray-node-1", "ray", tmp_path)]
    parts.append(part("prober", "prober", tmp_path))
    write_table(found.own, {one.name: one for one in parts})
    for number, one in enumerate(parts):
        StartHistory.of(found.own, one.name).add(Start(NOW - 1_000 + number, 1, 1))

    def answering(*_: object, lightly: bool = False) -> dict[str, Callable[[], Health]]:
        done = "looked at" if lightly else "worked"
        return {name: partial(Health, True, f"{name} {done}") for name in ("mlflow", "ray")}

    monkeypatch.setattr(prober, "probes", answering)
    return found


def test_each_probe_has_the_newest_start_of_the_programs_behind_it(paths: StackPaths, tmp_path: Path) -> None:
    """One that was never started is not asked, and the prober does not ask itself."""
    parts = started(paths)
    assert newest_starts(paths.own, parts) == {"mlflow": NOW - 1_000, "ray": NOW - 998}
    assert newest_starts(tmp_path / "elsewhere", parts) == {}


def started(paths: StackPaths) -> list[Part]:
    return list(read_table(paths.own).values())


def test_what_is_due_is_asked_and_recorded(paths: StackPaths) -> None:
    """Ray is looked at first, and asked for work because its start is over."""
    Prober(paths, Inline(1)).tick(NOW)
    found = probe_records.read(paths.own)
    assert {name: (one.detail, one.asked) for name, one in found.items()} == {
        "mlflow": ("mlflow looked at", "work"),  # it has no cheaper question: the probe is asked
        "ray": ("ray worked", "work"),
    }
    before = {path: path.stat().st_mtime_ns for path in (paths.own / "probes").iterdir()}
    Prober(paths, Inline(1)).tick(max(one.ended_at for one in found.values()) + EVERY_S - 1)
    assert {path: path.stat().st_mtime_ns for path in (paths.own / "probes").iterdir()} == before


def test_ray_is_only_looked_at_between_its_work(paths: StackPaths) -> None:
    probe_records.write(paths.own, {"ray": ProbeRecord(True, "ray worked", NOW - 60, 1.0, "work", NOW - 60)})
    Prober(paths, Inline(1)).tick(NOW)
    found = probe_records.read(paths.own)["ray"]
    assert (found.detail, found.asked, found.worked_at) == ("ray looked at", "look", NOW - 60)
    assert due({"ray": found}, {"ray": NOW - 10_000}, found.at + WORK_EVERY_S) == {"ray": "work"}


def test_a_part_that_does_not_answer_is_not_asked_a_second_time_meanwhile(paths: StackPaths) -> None:
    pool = Never()
    hanging = Prober(paths, pool)
    hanging.tick(NOW)
    hanging.tick(NOW + 1_000)
    assert pool.given == 2


def test_what_a_probe_did_not_foresee_is_an_answer() -> None:
    def broken() -> Health:
        raise RuntimeError("boom")

    assert foreseen(broken)() == Health(False, "the probe failed (RuntimeError: boom)")


def test_the_prober_is_well_while_it_answers(paths: StackPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or has only just begun; `koboshi status` asks the parts itself as soon as it is not."""
    settings = Settings(project=paths.project)
    monkeypatch.setattr("koboshi.stack.parts.prober.time.time", lambda: NOW)
    unused = started(paths)[0]
    assert probe_prober(settings, unused).detail == "has not probed anything"
    probe_records.write(paths.own, {"mlflow": ProbeRecord(True, "", NOW - 20, 1.0)})
    assert probe_prober(settings, unused) == Health(True, "1 parts probed")
    probe_records.write(paths.own, {"mlflow": ProbeRecord(True, "", NOW - STALE_S - 60, 1.0)})
    assert probe_prober(settings, unused) == Health(False, "no probe for 3 min")
    StartHistory.of(paths.own, "prober").add(Start(NOW - 5, 1, 1))
    assert probe_prober(settings, unused).ok


def test_the_probes_of_up_leave_records_of_own_parts_alone(paths: StackPaths) -> None:
    """A group that runs elsewhere is nobody's in this state folder."""
    probes = {name: lambda: Health(True, "did it") for name in ("mlflow", "kafka")}
    parts = [one for one in started(paths) if one.name == "mlflow"]
    asked = part_state.recorded(paths.own, probes, parts)
    assert [asked[name]() for name in probes] == [Health(True, "did it")] * 2
    assert list(probe_records.read(paths.own)) == ["mlflow"]
    assert json.loads((paths.own / "probes" / "mlflow.json").read_text())["detail"] == "did it"
