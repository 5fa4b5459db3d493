"""The supervisor's configuration and the environment that the parts get."""

from pathlib import Path

from koboshi.stack.places import Places
from koboshi.stack.process_table import TAG
from koboshi.stack.supervisor_control import configuration, environment_of_parts

PLACES = Places(Path("/p 100%"), Path("/p 100%/.koboshi"), Path("/tmp/koboshi-0/0a1b2c3d"))


def test_each_part_is_started_again_at_once_and_stopped_with_its_group() -> None:
    """The launcher, not the supervisor, decides about pauses; a percent sign in a path is no expansion."""
    text = configuration(PLACES, ["kafka", "mlflow"])
    assert text.count("[program:") == text.count("killasgroup=true") == text.count("startsecs=0") == 2
    assert '"/p 100%%/.koboshi/stack"' in text


def test_parts_get_no_settings_of_the_callers_shell_but_those_of_koboshi() -> None:
    """An AIRFLOW__ or RAY_ variable would set up the stack behind its back; KOBOSHI_… says where external parts are."""
    shell = {"RAY_ADDRESS": "x", "AIRFLOW__CORE__X": "y", "PYTHONDONTWRITEBYTECODE": "1", "KOBOSHI_KAFKA__X": "z"}
    assert environment_of_parts(shell, PLACES) == {"KOBOSHI_KAFKA__X": "z", TAG: "0a1b2c3d"}
