"""`koboshi down PART` ends what it names, and says what it could not mean."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from koboshi.errors import BadInput
from koboshi.settings import Settings
from koboshi.stack import lifecycle
from koboshi.stack.part import Part, write_table
from koboshi.stack.paths import StackPaths, find_paths

ENDED: list[str] = []


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A stack that runs, of Kafka and three replicas."""
    found = Settings(project=tmp_path)
    own = find_paths(tmp_path, found.state_dir).own
    own.mkdir(parents=True)
    names = {"kafka": "kafka", "replica-1": "replicas", "replica-2": "replicas", "replica-3": "replicas"}
    write_table(own, {name: Part(name, names[name], (), {}, tmp_path, tmp_path / "log") for name in names})

    def stop(_paths: StackPaths, wanted: Iterable[str], _within_s: float) -> None:
        ENDED.extend(wanted)

    ENDED.clear()
    monkeypatch.setattr("koboshi.stack.supervisor_control.answers", lambda _paths: True)
    monkeypatch.setattr("koboshi.stack.supervisor_control.stop_programs", stop)
    return found


def test_a_part_and_a_group_can_be_named_and_each_is_ended_once(settings: Settings) -> None:
    ended = lifecycle.stop_parts(settings, ["replica-2", "replicas"])
    assert ENDED == [part.name for part in ended] == ["replica-2", "replica-1", "replica-3"]


def test_of_names_of_which_one_is_wrong_nothing_is_ended(settings: Settings) -> None:
    with pytest.raises(BadInput, match=r"^zookeeper is none of the parts that were started, choose from kafka"):
        lifecycle.stop_parts(settings, ["kafka", "zookeeper"])
    assert ENDED == []


def test_where_no_stack_runs_there_is_no_part(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("koboshi.stack.supervisor_control.answers", lambda _paths: False)
    with pytest.raises(BadInput, match=r"^no stack runs here, so there is no kafka to stop: `koboshi up` starts one"):
        lifecycle.stop_parts(settings, ["kafka"])
