"""network-cut-training: the network between Ray's head and who trains with it falls silent, and heals."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.cut_training_checks import (
    node_did_its_part,
    nothing_was_lost_or_doubled,
    one_job,
    silence_was_noticed,
)
from koboshi.drills.scenes.cut_training_scene import CutTrainingScene
from koboshi.drills.scenes.ray_part_checks import ray_has_two_nodes_of_ours
from koboshi.drills.scenes.training_checks import predictions_equal_the_control, ray_is_idle

DRILL: Drill[CutTrainingScene] = Drill(
    name="network-cut-training",
    claim="While a node, the driver and the follower hear nothing of Ray's head every wait is bounded; when the "
    "network heals the training ends as one job, with every step done once and the undisturbed models.",
    fault="a silent network between Ray's head and a node, the driver and the follower",
    layer="training",
    scene=CutTrainingScene,
    steady=(ray_has_two_nodes_of_ours, ray_is_idle),
    strike=CutTrainingScene.cut,
    within_s=240,
    verdict=(
        silence_was_noticed,
        node_did_its_part,
        one_job,
        nothing_was_lost_or_doubled,
        predictions_equal_the_control,
    ),
    faults=2,
)
