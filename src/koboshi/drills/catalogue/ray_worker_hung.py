"""ray-worker-hung: a step that never ends, in C, while its worker beats on."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.silent_worker_checks import nobody_else_was_ended, the_silent_one_is_gone
from koboshi.drills.scenes.silent_worker_scene import HungWorkerScene
from koboshi.drills.scenes.training_checks import (
    predictions_equal_the_control,
    ray_has_nodes,
    ray_is_idle,
    went_on_from_the_committed_step,
)

DRILL: Drill[HungWorkerScene] = Drill(
    name="ray-worker-hung",
    claim="A worker that beats but makes no progress is ended and replaced after its step's limit, one with a long "
    "step is left alone, and the training ends with the undisturbed models.",
    fault="an endless loop in C in the middle of a step",
    layer="training",
    scene=HungWorkerScene,
    steady=(ray_has_nodes, ray_is_idle),
    strike=HungWorkerScene.let_it_hang,
    within_s=180,
    verdict=(
        the_silent_one_is_gone,
        nobody_else_was_ended,
        went_on_from_the_committed_step,
        predictions_equal_the_control,
    ),
)
