"""scheduler-killed: SIGKILL of the scheduler in the middle of a landing, and again in the middle of a training."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.scheduler_checks import (
    both_tasks_were_interrupted,
    kafka_works,
    landed_equals_the_broker,
    trained_once,
)
from koboshi.drills.scenes.scheduler_scene import SchedulerScene
from koboshi.drills.scenes.task_checks import airflow_is_ours_and_well, every_step_was_done_once
from koboshi.drills.scenes.training_checks import ray_has_nodes, ray_is_idle

DRILL: Drill[SchedulerScene] = Drill(
    name="scheduler-killed",
    claim="When Airflow's scheduler is killed in the middle of a landing and of a training, both runs end green: each "
    "record is landed once, and nothing is trained twice.",
    fault="SIGKILL of the scheduler in the middle of a landing, and again in the middle of a training",
    layer="orchestration",
    scene=SchedulerScene,
    steady=(airflow_is_ours_and_well, kafka_works, ray_has_nodes, ray_is_idle),
    strike=SchedulerScene.kill_the_scheduler_twice,
    within_s=420,
    verdict=(both_tasks_were_interrupted, landed_equals_the_broker, trained_once, every_step_was_done_once),
    faults=2,
)
