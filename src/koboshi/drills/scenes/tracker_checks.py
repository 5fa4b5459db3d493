"""The checks of the drill that kills MLflow: they ask its server, the job's own log, and the client of the endpoint."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.faults.parts import is_ours
from koboshi.drills.scenes import serving_checks
from koboshi.drills.scenes.tracker_scene import TRACKER, TrackerScene
from koboshi.drills.strike import Strike
from koboshi.probes.mlflow_probe import probe_mlflow

TOLD = re.compile(r"^(?P<unit>[^:]+): step (?P<step>\d+)/\d+ (?P<metrics>.+) \(")
ANSWERS = 100
PLACES = 4  # as the job's log gives metrics


def mlflow_is_ours_and_well(scene: TrackerScene) -> Finding:
    """Its processes are this stack's own, and a run can be written and read."""
    if not is_ours(scene.settings, TRACKER):
        return Finding("mlflow_is_ours_and_well", False, "no MLflow of this stack runs: start it with `koboshi up`")
    health = probe_mlflow(scene.uri)
    return Finding("mlflow_is_ours_and_well", health.ok, f"MLflow: {health.detail}")


def champion_is_served(scene: TrackerScene) -> Finding:
    """There is something to ask for, at every replica."""
    return serving_checks.champion_is_served(scene.serving)


def all_answered(scene: TrackerScene, strikes: Sequence[Strike]) -> Finding:
    """Not one request failed, and many were answered while MLflow was away."""
    found, while_down = serving_checks.all_answered(scene.serving, strikes), scene.answered_while_down()
    said = f"{found.said}; {while_down:,} of them while MLflow was away"
    return Finding(found.check, found.holds and while_down >= ANSWERS, said)


def all_right(scene: TrackerScene, strikes: Sequence[Strike]) -> Finding:
    """Every prediction is the champion's own."""
    return serving_checks.all_right(scene.serving, strikes)


def tracker_died_twice(scene: TrackerScene, strikes: Sequence[Strike]) -> Finding:
    """Two processes of MLflow are gone. Where it is back within its client's patience, no delivery is refused."""
    pids = {strike.pid for strike in strikes}
    holds = all(strike.took for strike in strikes) and len(pids) == len(strikes)
    refused = f"the delivery had to be tried again {len(scene.refusals)} times"
    said = f"processes {', '.join(map(str, sorted(pids, key=str)))} are gone; {refused}"
    return Finding("tracker_died_twice", holds, said)


def it_waited_in_the_outbox(scene: TrackerScene, _strikes: Sequence[Strike]) -> Finding:
    """The training ended while MLflow was away, and its record was a file on disk until MLflow had it."""
    (struck, back), *_ = [*scene.downs, (0.0, 0.0)]
    early = back - scene.trained_s
    holds = struck < scene.trained_s < back and scene.waited == [1] and scene.waiting() == 0
    waited = f"{sum(scene.waited)} entries waited in the outbox then, {scene.waiting()} are there now"
    said = f"the training ended {early:.1f} s before MLflow was back; {waited}"
    return Finding("it_waited_in_the_outbox", holds, said)


def one_run_each_and_no_ghost(scene: TrackerScene, _strikes: Sequence[Strike]) -> Finding:
    """One parent, one child of it for each unit, all finished, each with one model that is ready; and nothing else."""
    wrong = list(_ghosts(scene))
    said = "; ".join(wrong) or f"one parent and {len(scene.units)} children, finished, each with one ready model"
    return Finding("one_run_each_and_no_ghost", not wrong, said)


def _ghosts(scene: TrackerScene) -> Iterator[str]:
    runs = scene.witness.runs()
    parents = [run for run in runs if run.key == scene.spec.key and not run.unit]
    if len(parents) != 1:
        yield f"{len(parents)} parent runs for one training"
    children = Counter(run.unit for run in runs if run.unit)
    for unit in scene.units:
        if children[unit] != 1:
            yield f"{children[unit]} runs of {unit}"
    if strange := len(runs) - len(parents) - sum(children[unit] for unit in scene.units):
        yield f"{strange} runs that belong to nothing"
    if unfinished := sorted(run.unit or "the parent" for run in runs if run.status != "FINISHED"):
        yield f"not finished: {', '.join(unfinished)}"
    owners = [run.id for run in runs if run.unit]
    if scene.witness.models() != sorted((owner, "LOGGED_MODEL_READY") for owner in owners):
        yield f"models: {', '.join(status for _, status in scene.witness.models()) or 'none'}"


def every_metric_is_there(scene: TrackerScene, _strikes: Sequence[Strike]) -> Finding:
    """In finished runs each step's metrics are there once, as the job's own log told them when the step was done."""
    told = _told_by_the_job([line for _, line in scene.heard])
    wrong, values = [], 0
    for run in (run for run in scene.witness.runs() if run.status == "FINISHED"):
        for metric, steps in told[run.unit].items():
            found = [(step, round(value, PLACES)) for step, value in scene.witness.history(run, metric)]
            values += len(found)
            if found != sorted(steps.items()):
                wrong.append(f"{metric} of {run.unit} has {len(found)} values, the job told {len(steps)}")
    if missing := [unit for unit in scene.units if len(next(iter(told[unit].values()), ())) != _steps(scene, unit)]:
        wrong.append(f"the job's log does not tell of every step of {', '.join(missing)}")
    if values == 0:
        wrong.append("no finished run has a metric of a step")
    said = "; ".join(wrong) or f"{values} values by step, as the job told them, each once"
    return Finding("every_metric_is_there", not wrong, said)


def _steps(scene: TrackerScene, unit: str) -> int:
    return scene.spec.units[unit].steps


def _told_by_the_job(lines: Sequence[str]) -> Mapping[str, dict[str, dict[int, float]]]:
    """By unit, metric and step: the values in the job's log."""
    told: defaultdict[str, dict[str, dict[int, float]]] = defaultdict(dict)
    for found in filter(None, map(TOLD.match, lines)):
        words = found["metrics"].split()
        for name, value in zip(words[::2], words[1::2], strict=True):
            told[found["unit"]].setdefault(name, {})[int(found["step"])] = float(value)
    return told
