"""The checks of the drill that cuts the network of a training: they ask Ray, the files, and the follower."""

from collections.abc import Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.cut_training_scene import NODE, CutTrainingScene
from koboshi.drills.scenes.ray_witness import ENDED_BY_POOL, counts
from koboshi.drills.scenes.training_checks import step_names, told
from koboshi.drills.strike import Strike


def silence_was_noticed(scene: CutTrainingScene, strikes: Sequence[Strike]) -> Finding:
    """Bytes were swallowed on both ways, and the follower stopped waiting for an answer before the network was back."""
    noticed = scene.noticed_s(strikes)
    holds = all(strike.took for strike in strikes) and noticed is not None
    after = f"after {noticed - strikes[0].at_s:.1f} s" if noticed else "never"
    head, api = scene.swallowed
    said = f"{head:,} and {api:,} bytes were swallowed in {scene.silent_s:.0f} s; the follower noticed {after}"
    return Finding(
        "silence_was_noticed", holds, f"{said}; {scene.done_while_silent(strikes)} steps were done meanwhile"
    )


def node_did_its_part(scene: CutTrainingScene, _strikes: Sequence[Strike]) -> Finding:
    """The node behind the proxy is still the same one, and steps were done there; no worker died anywhere."""
    actors = scene.actors()
    there = {actor.id for actor in actors if actor.node == scene.node_id}
    done = [task for task in told(scene, more=0) if task.actor in there and task.state == "FINISHED"]
    died = [actor.name for actor in actors if actor.pid and actor.state == "DEAD" and actor.death != ENDED_BY_POOL]
    said = f"{len(done)} steps were done on {NODE}" + (f"; workers died: {', '.join(died)}" if died else "")
    return Finding("node_did_its_part", bool(done) and not died, said)


def one_job(scene: CutTrainingScene, _strikes: Sequence[Strike]) -> Finding:
    """Silence was not taken for absence: Ray had one job of this training."""
    jobs = scene.ray.jobs(scene.folder)
    told_of = ", ".join(f"{job.name} {job.status}" for job in jobs) or "none"
    holds = [job.status for job in jobs] == ["SUCCEEDED"]
    return Finding("one_job", holds, f"Ray ran {len(jobs)} job{'s' * (len(jobs) != 1)} for one training: {told_of}")


def nothing_was_lost_or_doubled(scene: CutTrainingScene, strikes: Sequence[Strike]) -> Finding:
    """Each step ended well once, by what Ray ran; and its file was written once, by what the drill saw."""
    ran, names = counts(told(scene, more=0)), step_names(scene)
    wrong = [f"{name} ended well {ran[name, 'FINISHED']} times" for name in names if ran[name, "FINISHED"] != 1]
    wrong += [f"{step} is nowhere" for step in scene.missing_steps()]
    wrong += [f"{step} was done again" for step in scene.done_again(strikes)]
    said = "; ".join(wrong[:3]) or f"each of {len(names)} steps was done once"
    return Finding("nothing_was_lost_or_doubled", not wrong, said)
