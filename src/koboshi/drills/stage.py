"""Puts a drill on its scene and keeps what came out."""

import time
from collections.abc import Callable
from pathlib import Path

from koboshi.drills.drill import Drill, run_drill
from koboshi.drills.report import Report, make_report, save
from koboshi.drills.training_scene import TrainingScene
from koboshi.settings import Settings


def perform(
    drill: Drill[TrainingScene], settings: Settings, say: Callable[[str], None], job: Path | None = None
) -> tuple[Report, Path]:
    """Run a drill and save its report. The files of its run stay when it is refuted, to be looked at."""
    at_s, scene = time.time(), TrainingScene(settings, say, job)
    outcome = run_drill(drill, scene, say)
    report = make_report(drill, outcome, at_s)
    path = save(settings.state_dir / "drills", report)
    if outcome.verdict == "refuted":
        say(f"the files of the refuted run are in {scene.folder}")
    else:
        scene.clear()
    return report, path
