"""checkpoint-flipped: a byte of the newest checkpoint rots, and its unit's worker is killed."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.flipped_checkpoint_checks import went_on_from_the_step_before
from koboshi.drills.scenes.flipped_checkpoint_scene import FlippedCheckpointScene
from koboshi.drills.scenes.training_checks import predictions_equal_the_control, ray_has_nodes, ray_is_idle

DRILL: Drill[FlippedCheckpointScene] = Drill(
    name="checkpoint-flipped",
    claim="A checkpoint that is not what was committed is noticed before it is used, its step is done again from the "
    "one before, and the training ends with the undisturbed models.",
    fault="a flipped byte in the newest checkpoint, and SIGKILL of its unit's worker",
    layer="training",
    scene=FlippedCheckpointScene,
    steady=(ray_has_nodes, ray_is_idle),
    strike=FlippedCheckpointScene.flip_and_kill,
    within_s=120,
    verdict=(went_on_from_the_step_before, predictions_equal_the_control),
    faults=2,
)
