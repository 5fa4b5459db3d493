"""train-task-killed: SIGKILL of a training task's process and its supervisor, while its Ray job runs."""

from koboshi.drills.drill import Drill
from koboshi.drills.orchestration.task_environment import (
    TaskEnvironment,
    airflow_is_ours_and_well,
    every_step_was_done_once,
    retry_attached,
    task_was_tried_again,
)
from koboshi.drills.training.training_checks import ray_has_nodes, ray_is_idle

DRILL: Drill[TaskEnvironment] = Drill(
    name="train-task-killed",
    claim="When a task of Airflow is killed with its supervisor while its job trains on Ray, the next try attaches to "
    "that job: one job, one model, no step done twice.",
    fault="SIGKILL of the task's process and its supervisor while the Ray job runs",
    layer="orchestration",
    environment=TaskEnvironment,
    steady=(airflow_is_ours_and_well, ray_has_nodes, ray_is_idle),
    inject=TaskEnvironment.kill_the_task,
    within_s=300,
    verdict=(task_was_tried_again, retry_attached, every_step_was_done_once),
)
