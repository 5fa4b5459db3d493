"""What a fault cost is told by a unit that it struck."""

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.nemesis import striker
from benchmarks.nemesis.schedule import Fault
from benchmarks.nemesis.striker import Striker
from benchmarks.timeline import Begun, Committed
from koboshi.drills.drill import Injection
from koboshi.events import JobBegan

DRIVER_PID, OLD, NEW = 9, 1, 2
STRIKE = Injection("SIGKILL", "driver", at_s=10.0, at_monotonic=10.0, took=True, pid=DRIVER_PID)


class Run:
    """Two units whose driver is killed at 10 s: one in step 6, the other in step 2, which is done again first."""

    over = False
    spec = SimpleNamespace(units=("ahead", "behind"))

    def begun(self, unit: str = "") -> list[Begun]:
        steps = [Begun(6, OLD, 9.9, "ahead"), Begun(2, OLD, 9.8, "behind")]
        steps += [Begun(2, NEW, 12.0, "behind"), Begun(5, NEW, 12.1, "ahead")]
        return [one for one in steps if unit in ("", one.unit)]

    def committed(self, unit: str = "") -> list[Committed]:
        at = {"behind": [Committed(1, 9.7), Committed(2, 12.5)], "ahead": [Committed(4, 9.6), Committed(5, 12.4)]}
        return [one for name, rows in at.items() if unit in ("", name) for one in rows]

    def told(self, _kind: type[JobBegan]) -> list[tuple[JobBegan, float]]:
        return [(JobBegan(job="job", pid=DRIVER_PID), 0.0)]

    def warm(self) -> dict[int, str]:
        return {OLD: "node"}

    def at_work(self) -> dict[str, Begun]:
        return {"ahead": Begun(6, OLD, 9.9, "ahead")}


def test_steps_of_different_units_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit whose step was committed first again had steps 5 and 6 to do again, not six to two."""
    monkeypatch.setattr(striker, "kill", lambda *_: STRIKE)
    run: Any = Run()
    struck = Striker(SimpleNamespace(), run).strike(Fault(1, striker.DRIVER, 0, 0.0, 0.0))  # type: ignore[arg-type]
    assert struck is not None
    assert struck.recovered_s == pytest.approx(2.4)
    assert struck.redone == 2
