"""The check of the drill in which a checkpoint rots: Ray tells how often each step was done."""

from collections.abc import Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.flipped_checkpoint_scene import FlippedCheckpointScene
from koboshi.drills.scenes.ray_witness import counts
from koboshi.drills.scenes.training_checks import step_names, told
from koboshi.drills.strike import Strike
from koboshi.training.on_ray import step_name


def went_on_from_the_step_before(scene: FlippedCheckpointScene, strikes: Sequence[Strike]) -> Finding:
    """The rotten step ended well twice, each other one once, and only the struck one came to nothing."""
    tasks, rotten = told(scene, more=2), step_name(scene.victim, scene.step - 1)
    ran = counts(tasks)
    wrong = [
        f"{name} ended well {ran[name, 'FINISHED']} times"
        for name in step_names(scene)
        if ran[name, "FINISHED"] != (2 if name == rotten else 1)
    ]
    lost = [task.name for task in tasks if task.state != "FINISHED"]
    if lost != [step_name(scene.victim, scene.step)]:
        wrong.append(f"what came to nothing was {', '.join(lost) or 'no step'}")
    if not all(strike.took for strike in strikes):
        wrong.append("a fault did not take")
    said = "; ".join(wrong) or f"{rotten} was done again, and the step after it, and nothing else"
    return Finding("went_on_from_the_step_before", not wrong, said)
