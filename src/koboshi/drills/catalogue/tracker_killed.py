"""tracker-killed: MLflow is killed in a training and stays away until after its end, and dies again in the delivery."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.tracker_checks import (
    all_answered,
    all_right,
    champion_is_served,
    every_metric_is_there,
    it_waited_in_the_outbox,
    mlflow_is_ours_and_well,
    one_run_each_and_no_ghost,
    tracker_died_twice,
)
from koboshi.drills.scenes.tracker_scene import TrackerScene
from koboshi.drills.scenes.training_checks import ray_has_nodes, ray_is_idle

DRILL: Drill[TrackerScene] = Drill(
    name="tracker-killed",
    claim="While MLflow is away predictions go on, all right, and the training runs to its end; the outbox delivers "
    "its record afterwards, without a ghost run, also when MLflow dies in the middle of that.",
    fault="SIGKILL of MLflow in the middle of a training, to be away beyond its end, and again in the delivery",
    layer="tracking",
    scene=TrackerScene,
    steady=(mlflow_is_ours_and_well, champion_is_served, ray_has_nodes, ray_is_idle),
    strike=TrackerScene.kill_the_tracker_twice,
    within_s=300,
    verdict=(
        tracker_died_twice,
        all_answered,
        all_right,
        it_waited_in_the_outbox,
        one_run_each_and_no_ghost,
        every_metric_is_there,
    ),
    faults=2,
)
