"""ray-worker-stopped: SIGSTOP of a training actor in the middle of a step."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.silent_worker_checks import nobody_else_was_ended, the_silent_one_is_gone
from koboshi.drills.scenes.silent_worker_scene import SilentWorkerScene
from koboshi.drills.scenes.training_checks import (
    predictions_equal_the_control,
    ray_has_nodes,
    ray_is_idle,
    went_on_from_the_committed_step,
)

DRILL: Drill[SilentWorkerScene] = Drill(
    name="ray-worker-stopped",
    claim="A worker that is stopped in the middle of a step is missed, ended and replaced, and the training ends with "
    "the undisturbed models.",
    fault="SIGSTOP of the actor in the middle of a step",
    layer="training",
    scene=SilentWorkerScene,
    steady=(ray_has_nodes, ray_is_idle),
    strike=SilentWorkerScene.stop_the_worker,
    within_s=120,
    verdict=(
        the_silent_one_is_gone,
        nobody_else_was_ended,
        went_on_from_the_committed_step,
        predictions_equal_the_control,
    ),
)
