"""driver-killed: SIGKILL of a training job's driver while its workers are in the middle of a step."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.driver_checks import next_attempt_took_over, no_step_on_file_was_done_again
from koboshi.drills.scenes.driver_scene import DriverScene
from koboshi.drills.scenes.training_checks import predictions_equal_the_control, ray_has_nodes, ray_is_idle

DRILL: Drill[DriverScene] = Drill(
    name="driver-killed",
    claim="When the driver of a training is killed the next attempt takes over its lease and its committed steps, and "
    "ends with the undisturbed models.",
    fault="SIGKILL of the job's driver in the middle of a step",
    layer="training",
    scene=DriverScene,
    steady=(ray_has_nodes, ray_is_idle),
    strike=DriverScene.kill_the_driver,
    within_s=180,
    verdict=(next_attempt_took_over, no_step_on_file_was_done_again, predictions_equal_the_control),
)
