"""Puts a drill on its scene and keeps what came out."""

import time
from pathlib import Path
from typing import Any

from koboshi.drills.bystanders import fingerprints
from koboshi.drills.drill import Drill, Say, run_drill
from koboshi.drills.report import Report, make_report, save
from koboshi.settings import Settings


def perform(drill: Drill[Any], settings: Settings, say: Say) -> tuple[Report, Path]:
    """Run a drill and save its report; returns both. The files of its run stay when it is refuted, to be looked at."""
    at_s = time.time()
    outcome = run_drill(drill, drill.scene(settings, say), lambda: fingerprints(settings), say)
    report = make_report(drill, outcome, at_s, settings.project)
    return report, save(settings.state_dir / "drills", report)
