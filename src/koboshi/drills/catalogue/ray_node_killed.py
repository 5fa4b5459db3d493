"""ray-node-killed: SIGKILL of all processes of a Ray node while it trains."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.ray_part_checks import (
    node_is_back,
    only_its_workers_died,
    ray_has_two_nodes_of_ours,
    went_on_elsewhere,
)
from koboshi.drills.scenes.ray_part_scene import RayPartScene
from koboshi.drills.scenes.training_checks import predictions_equal_the_control, ray_is_idle

DRILL: Drill[RayPartScene] = Drill(
    name="ray-node-killed",
    claim="A training goes on elsewhere when a node is killed with all that runs there, and ends with the undisturbed "
    "models; the node comes back and is used again.",
    fault="SIGKILL of all processes of a node in the middle of a step",
    layer="training",
    scene=RayPartScene,
    steady=(ray_has_two_nodes_of_ours, ray_is_idle),
    strike=RayPartScene.kill_the_node,
    within_s=180,
    verdict=(only_its_workers_died, went_on_elsewhere, predictions_equal_the_control, node_is_back),
)
