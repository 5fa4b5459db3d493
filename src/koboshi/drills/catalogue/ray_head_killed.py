"""ray-head-killed: SIGKILL of all processes of Ray's head, and with them the job's driver, while nodes train."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.ray_part_checks import (
    cluster_began_anew,
    next_attempt_ended_it,
    no_committed_step_was_done_again,
    ray_has_two_nodes_of_ours,
)
from koboshi.drills.scenes.ray_part_scene import RayHeadScene
from koboshi.drills.scenes.training_checks import predictions_equal_the_control, ray_is_idle

DRILL: Drill[RayHeadScene] = Drill(
    name="ray-head-killed",
    claim="When Ray's head is killed the cluster comes back, and the training goes on from its committed steps under "
    "the next attempt, to the undisturbed models.",
    fault="SIGKILL of all processes of the head in the middle of a step",
    layer="training",
    scene=RayHeadScene,
    steady=(ray_has_two_nodes_of_ours, ray_is_idle),
    strike=RayHeadScene.kill_the_head,
    within_s=240,
    verdict=(
        cluster_began_anew,
        next_attempt_ended_it,
        no_committed_step_was_done_again,
        predictions_equal_the_control,
    ),
)
