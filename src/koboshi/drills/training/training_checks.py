"""The checks of the training drills: they ask Ray, the kernel and the model files, never the trainer's records."""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import psutil

from koboshi.drills.drill import Finding, Injection
from koboshi.drills.kit.faults import is_ours
from koboshi.drills.training.training_environment import CONTROL, TrainingEnvironment, step_names
from koboshi.drills.training.witnesses import ENDED_BY_POOL, Task
from koboshi.training.on_ray import step_name

HEAD = "ray-head"
TOLD_WITHIN_S = 20.0  # Ray's processes report what they did once a second, and the last words come late


def ray_has_nodes(environment: TrainingEnvironment) -> Finding:
    """There is somewhere to go on."""
    nodes = environment.ray.nodes()
    return Finding("ray_has_nodes", nodes >= 1, f"{nodes} Ray nodes with CPUs are alive")


def ray_is_idle(environment: TrainingEnvironment) -> Finding:
    """No other training runs: two would share the cores, and times would mean nothing."""
    alive = sorted(actor.name for actor in environment.ray.actors() if actor.state != "DEAD")
    said = f"a training is running already ({', '.join(alive)})" if alive else "no training is running"
    return Finding("ray_is_idle", not alive, said)


def killed_once(environment: TrainingEnvironment, injections: Sequence[Injection]) -> Finding:
    """Of the run's actors exactly one died of itself, and it is the one that the signal was sent to, which is gone."""
    (injection,) = injections
    died = [actor for actor in environment.actors() if actor.state == "DEAD" and actor.death != ENDED_BY_POOL]
    holds = [actor.pid for actor in died] == [injection.pid] and injection.took
    names = ", ".join(f"{actor.name} (pid {actor.pid})" for actor in died) or "none"
    return Finding("killed_once", holds, f"workers that died: {names}; the signal went to pid {injection.pid}")


def went_on_from_the_committed_step(environment: TrainingEnvironment, injections: Sequence[Injection]) -> Finding:
    """Every step ended well exactly once, and one try came to nothing: that of the chosen step, at the injection."""
    tasks = told(environment)
    wrong = ended_otherwise(environment, tasks)
    lost = [task for task in tasks if task.state != "FINISHED"]
    interrupted = step_name(environment.victim, environment.step)
    if [task.name for task in lost] != [interrupted] or not spans_the_injection(lost[0], injections[0]):
        wrong.append(
            f"what came to nothing was {', '.join(task.name for task in lost) or 'no step'}, not {interrupted} alone"
        )
    return Finding.unless(
        "went_on_from_the_committed_step",
        wrong,
        f"of {len(step_names(environment.spec))} steps only {interrupted} was done again",
    )


def predictions_equal_the_control(environment: TrainingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """Each unit's final model answers as its undisturbed control does, bit for bit."""
    return Finding.unless(
        "predictions_equal_the_control",
        list(_differences(environment)),
        f"{', '.join(environment.units)}: predictions equal the control's bit for bit",
    )


def _differences(environment: TrainingEnvironment) -> Iterator[str]:
    for unit in environment.units:
        ours, control = environment.predictions(unit), environment.predictions(unit + CONTROL)
        if len(control) == 0 or ours.shape != control.shape:
            yield f"{unit}: {len(ours)} predictions, the control has {len(control)}"
        elif ours.tobytes() != control.tobytes():
            rows = int(np.count_nonzero(ours != control))
            yield f"{unit}: predictions differ from the undisturbed control's in {rows} of {len(control)} rows"


def told(environment: TrainingEnvironment, more: int = 1) -> list[Task]:
    """The run's steps as Ray tells them, once it has told of all of them, or after a bounded wait.

    `more` is how many more there have to be, because they were done again (or fewer, when Ray has forgotten some).
    """
    wanted, deadline = Counter(step_names(environment.spec)), time.monotonic() + TOLD_WITHIN_S
    while True:
        tasks = [task for task in environment.ray.tasks(environment.actors()) if task.name in wanted]
        open_ones = any(task.state not in ("FINISHED", "FAILED") for task in tasks)
        if (len(tasks) >= len(wanted) + more and not open_ones) or time.monotonic() > deadline:
            return tasks
        time.sleep(0.5)


def one_job(environment: TrainingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """Silence was not taken for absence, nor a second asking for a second training: Ray had one job of it."""
    jobs = environment.ray.jobs(environment.folder)
    told_of = ", ".join(f"{job.name} {job.status}" for job in jobs) or "none"
    holds = [job.status for job in jobs] == ["SUCCEEDED"]
    return Finding("one_job", holds, f"Ray ran {len(jobs)} job{'s' * (len(jobs) != 1)} for one training: {told_of}")


def went_on(
    check: str, environment: TrainingEnvironment, injections: Sequence[Injection], ran: Collection[str] = ()
) -> Finding:
    """By the files that the drill has watched, and by what `ran` since: no step that was committed was done again."""
    reached = environment.files.reached(injections[0].at_s)
    kept = {f"{unit}/step-{k}" for unit, highest in reached.items() for k in range(1, highest)}
    wrong = [f"{step} is nowhere" for step in environment.missing_steps()]
    again = kept.intersection([*environment.done_again(injections), *ran])
    wrong += [f"{step} was done again" for step in sorted(again)]
    if not kept:
        wrong.append("nothing had been committed when the fault was injected")
    return Finding.unless(check, wrong, f"none of the {len(kept)} steps that were committed before was done again")


def ended_otherwise(environment: TrainingEnvironment, tasks: Sequence[Task], twice: str = "") -> list[str]:
    """Names each step that did not end well exactly once; the one called `twice` has to have ended well twice."""
    well = Counter(task.name for task in tasks if task.state == "FINISHED")
    wanted = {name: 1 + (name == twice) for name in step_names(environment.spec)}
    return [f"{name} ended well {well[name]} times" for name, times in wanted.items() if well[name] != times]


def spans_the_injection(task: Task, injection: Injection) -> bool:
    """Whether a task was under way when the fault was injected."""
    return task.created_ms <= injection.at_s * 1000 <= task.ended_ms


def the_silent_one_is_gone(_environment: TrainingEnvironment, injections: Sequence[Injection]) -> Finding:
    """The process is no more: even woken up it can bring nothing."""
    (injection,) = injections
    gone = not _lives(injection.pid)
    return Finding(
        "the_silent_one_is_gone", injection.took and gone, f"pid {injection.pid} is {'gone' if gone else 'still there'}"
    )


def nobody_else_was_ended(environment: TrainingEnvironment, injections: Sequence[Injection]) -> Finding:
    """No worker was replaced that was alive and well, however long its step took: only one step was interrupted."""
    ended = {task.actor for task in told(environment) if task.state != "FINISHED"}
    others = [actor.name for actor in environment.actors() if actor.id in ended and actor.pid != injections[0].pid]
    others += [
        a.name for a in environment.actors() if a.state == "DEAD" and a.death != ENDED_BY_POOL and a.id not in ended
    ]
    said = f"replaced although they were well: {', '.join(others)}" if others else "no other worker was replaced"
    return Finding("nobody_else_was_ended", not others, said)


def _lives(pid: int | None) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def ray_has_two_nodes_of_ours(environment: TrainingEnvironment) -> Finding:
    """There is another node to go on at, and the processes are this stack's own, so that they come back."""
    names = sorted(node.name for node in environment.ray.members())
    ours = is_ours(environment.settings, HEAD, *names)
    said = f"{len(names)} Ray nodes with CPUs are alive" if ours else f"{', '.join(names)} are not of this stack"
    return Finding("ray_has_two_nodes_of_ours", ours and len(names) > 1, said)
