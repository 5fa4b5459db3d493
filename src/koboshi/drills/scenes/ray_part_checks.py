"""The checks of the drills that strike Ray's own processes: what Ray, the kernel and the files say."""

from collections.abc import Iterator, Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.faults.parts import is_ours
from koboshi.drills.scenes.ray_part_scene import HEAD, RayPartScene
from koboshi.drills.scenes.ray_witness import ENDED_BY_POOL, counts
from koboshi.drills.scenes.training_checks import spans_the_strike, step_names, told
from koboshi.drills.scenes.training_scene import TrainingScene
from koboshi.drills.strike import Strike


def ray_has_two_nodes_of_ours(scene: TrainingScene) -> Finding:
    """There is another node to go on at, and the processes are this stack's own, so that they come back."""
    names = sorted(node.name for node in scene.ray.members())
    ours = is_ours(scene.settings, HEAD, *names)
    said = f"{len(names)} Ray nodes with CPUs are alive" if ours else f"{', '.join(names)} are not of this stack"
    return Finding("ray_has_two_nodes_of_ours", ours and len(names) > 1, said)


def only_its_workers_died(scene: RayPartScene, strikes: Sequence[Strike]) -> Finding:
    """The node's processes are gone, and of the run's workers exactly those died that were on it.

    One without a process or a node was to be started there, and never was. Of those on the node the pool may have heard
    no beat before Ray knew of their end, and have ended them: so for these it does not count who was first.
    """
    (strike,) = strikes
    died = [actor for actor in scene.actors() if actor.pid and actor.node and actor.state == "DEAD"]
    with_it = [actor for actor in died if actor.node == scene.struck.id]
    elsewhere = [a.name for a in died if a.node != scene.struck.id and a.death != ENDED_BY_POOL]
    holds = strike.took and bool(with_it) and not elsewhere
    names = ", ".join(f"{actor.name} (pid {actor.pid})" for actor in with_it) or "none"
    said = f"workers that died with {scene.struck.name}: {names}"
    return Finding("only_its_workers_died", holds, f"{said}; not on it: {', '.join(elsewhere)}" if elsewhere else said)


def went_on_elsewhere(scene: RayPartScene, strikes: Sequence[Strike]) -> Finding:
    """Every step ended well exactly once; what came to nothing was on the struck node, and was done on another."""
    wrong = list(_gone_wrong(scene, strikes[0]))
    lost = sorted(task.name for task in told(scene) if task.state != "FINISHED")
    said = "; ".join(wrong) or f"of {len(step_names(scene))} steps only {', '.join(lost)} had to be done elsewhere"
    return Finding("went_on_elsewhere", not wrong, said)


def _gone_wrong(scene: RayPartScene, strike: Strike) -> Iterator[str]:
    tasks, hosts = told(scene), {actor.id: actor.node for actor in scene.actors()}
    ran = counts(tasks)
    for name in step_names(scene):
        if ran[name, "FINISHED"] != 1:
            yield f"{name} ended well {ran[name, 'FINISHED']} times"
    lost = [task for task in tasks if task.state != "FINISHED"]
    if not any(spans_the_strike(task, strike) for task in lost):
        yield "no step was interrupted by the strike"
    for task in lost:
        if hosts[task.actor] != scene.struck.id:
            yield f"{task.name} came to nothing on a node that was not struck"
    names = {task.name for task in lost}
    for task in tasks:
        if task.state == "FINISHED" and task.name in names and hosts[task.actor] == scene.struck.id:
            yield f"{task.name} was done again on the node that was dead"


def node_is_back(scene: RayPartScene, _strikes: Sequence[Strike]) -> Finding:
    """Ray has a new node under the old name; `finish` has seen a task done on each."""
    now = {node.name: node.id for node in scene.ray.members()}
    again = now.get(scene.struck.name)
    holds = again is not None and again not in {node.id for node in scene.before}
    said = f"{scene.struck.name} has joined again and runs tasks" if holds else f"{scene.struck.name} is not back"
    return Finding("node_is_back", holds, said)


def cluster_began_anew(scene: RayPartScene, strikes: Sequence[Strike]) -> Finding:
    """The head's processes are gone; all nodes are there again, under the old names, in a cluster that is new."""
    before, now = ({node.name: node.id for node in nodes} for nodes in (scene.before, scene.ray.members()))
    kept = sorted(name for name, node in now.items() if node in before.values())
    holds = strikes[0].took and set(now) == set(before) and not kept
    said = f"{', '.join(sorted(now)) or 'no node'} joined a new head"
    return Finding("cluster_began_anew", holds, f"{said}; of the old cluster: {', '.join(kept)}" if kept else said)


def next_attempt_ended_it(scene: RayPartScene, _strikes: Sequence[Strike]) -> Finding:
    """The new cluster had one job of this training, the second attempt, and it succeeded."""
    jobs = [(job.name, job.status) for job in scene.ray.jobs(scene.folder)]
    said = "jobs of the new cluster: " + (", ".join(f"{name} {status}" for name, status in jobs) or "none")
    return Finding("next_attempt_ended_it", jobs == [(scene.spec.job_name(2), "SUCCEEDED")], said)


def no_committed_step_was_done_again(scene: RayPartScene, strikes: Sequence[Strike]) -> Finding:
    """By the files that the drill has watched, and by what the new cluster ran: it went on from where it had been."""
    reached = scene.files.reached(strikes[0].at_s)
    kept = {f"{unit}/step-{k}" for unit, highest in reached.items() for k in range(1, highest)}
    ran = {task.name.partition(".")[2] for task in told(scene, more=-sum(reached.values()))}
    wrong = [f"{step} is nowhere" for step in scene.missing_steps()]
    wrong += [f"{step} was done again" for step in sorted(kept.intersection([*scene.done_again(strikes), *ran]))]
    if not kept:
        wrong.append("nothing had been committed when the fault struck")
    said = "; ".join(wrong) or f"none of the {len(kept)} steps that were committed before was done again"
    return Finding("no_committed_step_was_done_again", not wrong, said)
