"""`make recording`: a training, a worker that is killed, and the recovery, as docs/pictures/recovery.svg.

Two real terminals, one above the other, in the time that it took: above `koboshi train watch`, below `koboshi kill
ray-worker`. The training is one of the project's under a key of its own, with more steps, so that there is something
to see. It is trained in the project's state folder, and nothing else takes notice: no dataset, no run in
MLflow, no version. Needs a running stack and a training that was done before (`make demo`).
"""

import dataclasses
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from koboshi.errors import BadInput, Transient
from koboshi.settings import Settings, load_settings
from koboshi.training import TrainingSpec
from tools.recorded_terminal import Terminal
from tools.terminal_svg import Frame, Row, Run, film

TARGET = Path("docs/pictures/recovery.svg")
TITLE = "A training worker is killed; its unit goes on from the last committed step on a warm spare."
COLUMNS, LINES_ABOVE, LINES_BELOW = 104, 19, 4
STRETCH = 3  # times as many steps
FRAME_S, PATIENCE_S = 0.1, 240.0
STEPS_AROUND = 6  # committed before the kill, and as many after the recovery
RULE: Row = (Run("─" * COLUMNS, "black"),)


class Film:
    """What stood on two terminals, from now on."""

    def __init__(self, above: Terminal, below: Terminal) -> None:
        self._terminals, self._began, self.frames = (above, below), time.monotonic(), list[Frame]()

    def take(self) -> None:
        """Keep what is seen now, if it is something new."""
        above, below = self._terminals
        above.look()
        below.look()
        rows = (*above.rows(), RULE, *below.rows())
        at_s = time.monotonic() - self._began
        if not self.frames or (self.frames[-1].rows != rows and at_s - self.frames[-1].at_s >= FRAME_S):
            self.frames.append(Frame(at_s if self.frames else 0.0, rows))

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Go on until something is so. Raises `Transient` after a bounded time."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            if time.monotonic() > deadline:
                raise Transient(f"{what} was not seen within {PATIENCE_S:.0f} s: look at `koboshi status`.")
            time.sleep(FRAME_S / 2)
            self.take()


def longer_training(settings: Settings) -> TrainingSpec:
    """The project's shortest training, to be done once more: its own key, and more steps of each unit.

    The shortest, because a recording leaves a longer one behind.
    """
    found = (settings.state_dir / "checkpoints").glob("*/specification.json")
    kept = [TrainingSpec.from_json(path.read_text()) for path in found]
    if not kept:
        raise BadInput("no training was done here yet: run `make demo` first.")
    spec = min(kept, key=lambda one: sum(unit.steps for unit in one.units.values()))
    units = {name: dataclasses.replace(unit, steps=unit.steps * STRETCH) for name, unit in spec.units.items()}
    key = hashlib.sha256(f"{spec.key} {time.time_ns()}".encode()).hexdigest()
    return dataclasses.replace(spec, key=key, units=units, place=settings.run_config)


def status(key: str) -> dict[str, int]:
    """How far the training is, as `koboshi train watch` says."""
    asked = subprocess.run(
        [_koboshi(), "train", "watch", key[:16], "--once", "--json"], capture_output=True, text=True, check=False
    )
    found = json.loads(asked.stdout) if asked.returncode == 0 and asked.stdout.strip() else {}
    return {name: found.get(name) or 0 for name in ("steps_done", "recoveries")}


def main() -> None:
    """Train, kill, watch the recovery, write the film."""
    settings = load_settings()
    spec = longer_training(settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "specification.json"
        path.write_text(spec.to_json())
        job = subprocess.Popen([_koboshi(), "train", "run", str(path)], stdout=subprocess.DEVNULL)
        try:
            frames = record(settings.project, spec.key)
        finally:
            job.wait(PATIENCE_S)
    TARGET.write_text(film(frames, COLUMNS, TITLE))
    print(f"{TARGET}: {len(frames)} frames of {frames[-1].at_s:.0f} s, {TARGET.stat().st_size / 1000:.0f} kB")  # noqa: T201


def record(project: Path, key: str) -> list[Frame]:
    """The two terminals, from the command above to some steps after the recovery."""
    _wait_for_step(key)
    variables = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONWARNINGS": "ignore"}
    above = Terminal(COLUMNS, LINES_ABOVE, project, variables)
    below = Terminal(COLUMNS, LINES_BELOW, project, variables)
    try:
        return _play(above, below)
    finally:
        above.close()
        below.close()


def _play(above: Terminal, below: Terminal) -> list[Frame]:
    for terminal in (above, below):
        _wait_until(terminal.awaits_a_command, "the shell's prompt")
    recorded = Film(above, below)
    recorded.take()
    above.type("koboshi train watch", recorded.take)
    recorded.until(lambda: "steps committed" in above.text, "the picture of the training")
    recorded.until(lambda: _steps(above.text) >= STEPS_AROUND, "a committed step")
    below.type("koboshi kill ray-worker", recorded.take)
    recorded.until(below.awaits_a_command, "the end of the kill")
    recorded.until(lambda: "1 recovery" in above.text, "the recovery")
    then = _steps(above.text) + STEPS_AROUND
    recorded.until(lambda: _steps(above.text) >= then or above.awaits_a_command(), "steps after the recovery")
    return recorded.frames


def _steps(screen: str) -> int:
    """How many steps the picture says are committed."""
    line = next((line for line in screen.splitlines() if "steps committed" in line), "0")
    return int(line.split()[0].replace(",", ""))


def _wait_for_step(key: str) -> None:
    _wait_until(lambda: status(key)["steps_done"] > 0, "the first step")


def _wait_until(is_so: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise Transient(f"{what} was not seen within {PATIENCE_S:.0f} s: look at `koboshi status`.")
        time.sleep(FRAME_S)


def _koboshi() -> str:
    return str(Path(sys.executable).parent / "koboshi")


if __name__ == "__main__":
    from koboshi.exits import run_and_exit

    run_and_exit(main, "recording")
