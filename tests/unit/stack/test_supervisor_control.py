"""The supervisor's configuration and the environment that the parts get."""

import contextlib
import os
from pathlib import Path
from xmlrpc.client import Fault

import pytest

from koboshi.errors import Unavailable
from koboshi.proxies import NAMES
from koboshi.stack import supervisor_control
from koboshi.stack.launch import GAVE_UP
from koboshi.stack.paths import StackPaths
from koboshi.stack.process_table import TAG, start_ticks
from koboshi.stack.supervisor_control import configuration, environment_of_parts

PATHS = StackPaths(Path("/p 100%"), Path("/p 100%/.koboshi"), Path("/tmp/koboshi-0/0a1b2c3d"))


def test_each_part_is_started_again_at_once_and_stopped_with_its_group() -> None:
    """The launcher, not the supervisor, decides about pauses; a percent sign in a path is no expansion."""
    text = configuration(PATHS, ["kafka", "mlflow"])
    assert text.count("[program:") == text.count("killasgroup=true") == text.count("startsecs=0") == 2
    assert '"/p 100%%/.koboshi/stack"' in text


def test_parts_get_no_settings_of_the_callers_shell_but_those_of_koboshi() -> None:
    """An AIRFLOW__ or RAY_ variable would set up the stack behind its back; KOBOSHI_… says where external parts are."""
    shell = {"RAY_ADDRESS": "x", "AIRFLOW__CORE__X": "y", "PYTHONDONTWRITEBYTECODE": "1", "KOBOSHI_KAFKA__X": "z"}
    parts = environment_of_parts(shell, PATHS)
    assert {name: value for name, value in parts.items() if name not in NAMES} == {
        "KOBOSHI_KAFKA__X": "z",
        TAG: "0a1b2c3d",
    }


def test_parts_ask_each_other_directly_and_others_through_the_callers_proxy() -> None:
    """Airflow's tasks, Ray's jobs and MLflow's server inherit that; the user's own exceptions stay."""
    shell = {"http_proxy": "http://proxy:3128", "NO_PROXY": "corp.example"}
    parts = environment_of_parts(shell, PATHS)
    assert parts["http_proxy"] == "http://proxy:3128"
    assert {parts[name] for name in NAMES} == {"corp.example,127.0.0.1,localhost,::1"}


class Supervisor:
    """Of three parts `busy` is between its death and its next start when it is asked first; `hung` never ends."""

    def __init__(self) -> None:
        self.states = {
            "kafka": ("RUNNING", 0),
            "busy": ("EXITED", 1),
            "ill": ("EXITED", GAVE_UP),
            "hung": ("RUNNING", 0),
        }
        self.asked: list[str] = []

    def infos(self) -> dict[str, dict[str, object]]:
        return {name: {"statename": state, "exitstatus": code} for name, (state, code) in self.states.items()}

    def stopProcess(self, name: str, _wait: bool) -> None:  # noqa: N802 (as the supervisor calls it)
        self.asked.append(name)
        if self.states[name][0] != "RUNNING":
            self.states[name] = ("RUNNING", 0)
            raise Fault(70, "NOT_RUNNING")
        if name != "hung":
            self.states[name] = ("STOPPED", 0)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    asked = Supervisor()
    monkeypatch.setattr(supervisor_control, "connected", lambda _paths: contextlib.nullcontext(asked))
    monkeypatch.setattr(supervisor_control, "process_infos", lambda _paths: asked.infos())
    monkeypatch.setattr("koboshi.stack.supervisor_control.time.sleep", lambda _s: None)
    return asked


def test_parts_are_left_off_however_often_that_has_to_be_asked_for(supervisor: Supervisor) -> None:
    """One that was given up is off already; the others are left alone."""
    supervisor_control.stop_programs(PATHS, ["kafka", "busy", "ill"], 60)
    assert supervisor.asked == ["busy", "kafka", "busy"]
    assert supervisor.states["hung"] == ("RUNNING", 0)


def test_a_part_that_does_not_end_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(Unavailable, match=r"^hung did not end within 0 s"):
        supervisor_control.stop_programs(PATHS, ["hung", "kafka"], 0)


def test_a_supervisor_that_is_about_to_end_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So `koboshi down` during a shutdown goes on with what is left, and ends without a stack trace."""

    class Ending:
        def getPID(self) -> int:  # noqa: N802 (as the supervisor calls it)
            raise Fault(6, "SHUTDOWN_STATE")

    pid, paths = os.getpid(), StackPaths(tmp_path, tmp_path, tmp_path)
    paths.own.mkdir(parents=True, exist_ok=True)
    (paths.own / "supervisor.start").write_text(f"{pid} {start_ticks(pid)}")
    monkeypatch.setattr(supervisor_control, "connected", lambda _paths: contextlib.nullcontext(Ending()))
    assert not supervisor_control.answers(paths)
