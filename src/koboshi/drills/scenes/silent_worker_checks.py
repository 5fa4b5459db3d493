"""The checks of drills whose fault ends no process: the kernel says who is gone, and Ray how often what was done."""

from collections.abc import Sequence

import psutil

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.ray_witness import ENDED_BY_POOL
from koboshi.drills.scenes.training_checks import told
from koboshi.drills.scenes.training_scene import TrainingScene
from koboshi.drills.strike import Strike


def the_silent_one_is_gone(_scene: TrainingScene, strikes: Sequence[Strike]) -> Finding:
    """The process is no more: even woken up it can bring nothing."""
    (strike,) = strikes
    gone = not _lives(strike.pid)
    said = f"pid {strike.pid} is {'gone' if gone else 'still there'}"
    return Finding("the_silent_one_is_gone", strike.took and gone, said)


def nobody_else_was_ended(scene: TrainingScene, strikes: Sequence[Strike]) -> Finding:
    """No worker was replaced that was alive and well, however long its step took: only one step was interrupted."""
    ended = {task.actor for task in told(scene) if task.state != "FINISHED"}
    others = [actor.name for actor in scene.actors() if actor.id in ended and actor.pid != strikes[0].pid]
    others += [a.name for a in scene.actors() if a.state == "DEAD" and a.death != ENDED_BY_POOL and a.id not in ended]
    said = f"replaced although they were well: {', '.join(others)}" if others else "no other worker was replaced"
    return Finding("nobody_else_was_ended", not others, said)


def _lives(pid: int | None) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
