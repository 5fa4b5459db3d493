"""The checks of the drills that kill what runs a task: they ask Airflow, Ray, the kernel and the files."""

from collections.abc import Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.faults.parts import is_ours
from koboshi.drills.scenes.step_files import written_more_than_once
from koboshi.drills.scenes.task_scene import TaskScene, begun_after
from koboshi.drills.scenes.workspace import STAGE
from koboshi.drills.strike import Strike
from koboshi.probes.airflow_probe import probe_airflow
from koboshi.settings import required

SCHEDULER = "airflow-scheduler"


def airflow_is_ours_and_well(scene: TaskScene) -> Finding:
    """Its processes are this stack's own, so that they can be found and come back, and its heartbeats are fresh."""
    if not is_ours(scene.settings, SCHEDULER):
        return Finding("airflow_is_ours_and_well", False, "no Airflow of this stack runs: start it with `koboshi up`")
    health = probe_airflow(required(scene.settings.airflow.base_url, "Airflow"))
    return Finding("airflow_is_ours_and_well", health.ok, f"Airflow: {health.detail}")


def task_was_tried_again(scene: TaskScene, strikes: Sequence[Strike]) -> Finding:
    """The struck processes are gone; by Airflow's count no try before the strike succeeded, and one after it did."""
    tries = scene.airflow.tries(scene.run, STAGE)
    states = [str(one.state) for one in tries]
    later = [str(one.state) for one in begun_after(tries, strikes[-1])]
    again = states[-1:] == later[-1:] == ["success"] and "success" not in states[: len(states) - len(later)]
    holds = all(strike.took for strike in strikes) and len(later) < len(states) and again
    return Finding("task_was_tried_again", holds, f"tries of {STAGE}: {', '.join(states) or 'none'}")


def retry_attached(scene: TaskScene, strikes: Sequence[Strike]) -> Finding:
    """Ray had one job of this training, and it was running when the task was tried again."""
    jobs, tries = scene.ray.jobs(scene.folder), scene.airflow.tries(scene.run, STAGE)
    again_s = next((one.began_s for one in begun_after(tries, strikes[-1]) if one.began_s), 0.0)
    told = ", ".join(f"{job.name} {job.status}" for job in jobs) or "none"
    if len(jobs) != 1 or jobs[0].status != "SUCCEEDED":
        return Finding("retry_attached", False, f"Ray ran {len(jobs)} jobs for one training: {told}")
    (job,) = jobs
    running = job.started_ms / 1000 < again_s < job.ended_ms / 1000
    when = f"the next try began {again_s - job.started_ms / 1000:.0f} s after the job had begun"
    said = f"one job, {told}; {when}, {job.ended_ms / 1000 - again_s:.0f} s before its end"
    return Finding("retry_attached", running, said)


def every_step_was_done_once(scene: TaskScene, _strikes: Sequence[Strike]) -> Finding:
    """Each step's file was written once, as the drill saw it, and there is one final model."""
    files = scene.files.written()
    wrong = [f"{step} is nowhere" for step in scene.missing_steps()]
    wrong += [f"{unit}/step-{step} was written twice" for unit, step in written_more_than_once(files)]
    models = [len(scene.predictions(unit)) for unit in scene.units]
    said = "; ".join(wrong[:3]) or f"{len(files)} steps were written once each, to {len(models)} model"
    return Finding("every_step_was_done_once", not wrong, said)
