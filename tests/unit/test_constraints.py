"""The wheel carries the locked versions."""

from pathlib import Path

from packaging.requirements import Requirement

from tools.write_constraints import FILE, constraints

LOCK = (Path(__file__).parents[2] / "requirements.lock").read_text()


def test_the_wheels_constraints_are_those_of_the_lock() -> None:
    assert FILE.read_text() == constraints(LOCK)
    pins = [Requirement(line) for line in FILE.read_text().splitlines() if not line.startswith("#")]
    assert len(pins) == sum("==" in line and not line.startswith(" ") for line in LOCK.splitlines())
    assert not any(pin.extras for pin in pins)
