"""`make recording` shows what real terminals showed: a shell in a pseudo-terminal, its screen, its colours."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from koboshi.errors import BadInput, Transient
from koboshi.formats.manifest import DatasetRef
from koboshi.settings import load_settings
from koboshi.training import RunConfig, TrainingSpec, UnitSpec
from tests.support.running_stack import REPOSITORY
from tools import record_recovery
from tools.record_recovery import Film, longer_training
from tools.recorded_terminal import Terminal
from tools.terminal_svg import Run

LIMIT_S = 60.0


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    shell = Terminal(40, 5, tmp_path, {"GREETING": "hello"})
    until(shell.awaits_a_command)
    yield shell
    shell.close()


def test_what_is_typed_runs_in_a_real_shell_with_its_colours(terminal: Terminal) -> None:
    terminal.type(r"printf '\033[1;32m%s\033[0m there\n' $GREETING", terminal.look)
    until(terminal.awaits_a_command)
    shown = [row for row in terminal.rows() if row and row[0].text == "hello"]
    assert [(row[0], row[1].text.rstrip()) for row in shown] == [(Run("hello", "green", bold=True), " there")]


def test_a_terminal_that_is_closed_leaves_no_shell_behind(tmp_path: Path) -> None:
    shell = Terminal(40, 5, tmp_path, {})
    until(shell.awaits_a_command)
    shell.type("echo $$", shell.look)
    until(shell.awaits_a_command)
    process = int(next(line for line in shell.text.splitlines() if line.strip().isdigit()))
    shell.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_film_keeps_what_changed_and_waits_no_longer_than_its_patience(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_recovery, "PATIENCE_S", 0.5)
    film = Film(terminal, terminal)
    film.take()
    with pytest.raises(Transient, match="the moon was not seen"):
        film.until(lambda: False, "the moon")
    assert [frame.at_s for frame in film.frames] == [0.0]


def test_the_training_of_a_recording_is_the_shortest_one_with_a_key_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "koboshi.toml").write_text((REPOSITORY / "koboshi.toml").read_text())
    monkeypatch.delenv("KOBOSHI_PROJECT", raising=False)
    settings = load_settings(tmp_path)
    with pytest.raises(BadInput, match="make demo"):
        longer_training(settings)
    spec = _specification(settings.run_config)
    for number, steps in enumerate((30, 10, 20)):
        units = {"forest": UnitSpec("pipelines.candidates:forest", {}, steps)}
        one = dataclasses.replace(spec, key=f"{number}" * 64, units=units)
        one.file.parent.mkdir(parents=True)
        one.file.write_text(one.to_json())
    longer = longer_training(settings)
    assert longer.units["forest"].steps == 10 * record_recovery.STRETCH
    assert longer.key not in {f"{number}" * 64 for number in range(3)}


def _specification(place: RunConfig) -> TrainingSpec:
    return TrainingSpec("0" * 64, DatasetRef("data/features", "1" * 64), {"u": UnitSpec("m:f", {}, 1)}, place)
