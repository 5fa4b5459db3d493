"""The checks of the drill that kills a job's driver: what Ray and the files say."""

from collections.abc import Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.driver_scene import DriverScene
from koboshi.drills.strike import Strike


def next_attempt_took_over(scene: DriverScene, strikes: Sequence[Strike]) -> Finding:
    """The driver's process is gone, and Ray had two jobs of this training: the first failed, the second succeeded."""
    jobs = sorted((job.name, job.status) for job in scene.ray.jobs(scene.folder))
    wanted = [(scene.spec.job_name(1), "FAILED"), (scene.spec.job_name(2), "SUCCEEDED")]
    said = "jobs: " + ", ".join(f"{name} {status}" for name, status in jobs)
    return Finding("next_attempt_took_over", strikes[0].took and jobs == wanted, said)


def no_step_on_file_was_done_again(scene: DriverScene, strikes: Sequence[Strike]) -> Finding:
    """By the files that the drill has watched: it went on from where it had been."""
    kept = sum(max(0, highest - 1) for highest in scene.files.reached(strikes[0].at_s).values())
    wrong = [f"{step} is nowhere" for step in scene.missing_steps()]
    wrong += [f"{step} was done again" for step in scene.done_again(strikes)]
    if not kept:
        wrong.append("nothing had been committed when the fault struck")
    said = "; ".join(wrong) or f"none of the {kept} steps that were committed before was done again"
    return Finding("no_step_on_file_was_done_again", not wrong, said)
