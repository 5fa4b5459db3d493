"""Whether a training that was struck came out as the undisturbed one: pure, each difference a sentence."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.undisturbed import Undisturbed

Metrics = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What is there after a training: by unit (step, metrics) as committed, predictions by model, processes left."""

    committed: Mapping[str, Sequence[tuple[int, Metrics]]]
    predictions: Mapping[str, bytes]
    orphans: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What MLflow has under the training's key: how many parents, and by child run its unit, status and metrics."""

    parents: int
    children: Sequence[tuple[str, str, Mapping[str, Sequence[tuple[int, float]]]]]


def differences(found: Outcome, control: Undisturbed) -> list[str]:
    """Nothing, where all is as it has to be."""
    return [*_of_steps(found, control), *_of_predictions(found, control), *(f"{one} is left" for one in found.orphans)]


def _of_steps(found: Outcome, control: Undisturbed) -> Iterator[str]:
    for unit, wanted in control.metrics.items():
        steps = found.committed.get(unit, ())
        if [number for number, _ in steps] != list(range(1, len(wanted) + 1)):
            yield f"{unit} has {len(steps)} committed steps, not 1 to {len(wanted)} once each"
            continue
        differing = [number for (number, metrics), other in zip(steps, wanted, strict=True) if dict(metrics) != other]
        if differing:
            yield f"{unit}: the metrics of step {differing[0]} differ from the undisturbed run's"


def _of_predictions(found: Outcome, control: Undisturbed) -> Iterator[str]:
    for model, wanted in control.predictions.items():
        if found.predictions.get(model) != wanted:
            yield f"{model}: the predictions differ from the undisturbed run's"


def differences_in_mlflow(found: Recorded, control: Undisturbed) -> list[str]:
    """One finished run for each unit below one parent, with the undisturbed metrics of every step, and no other run."""
    told = [] if found.parents == 1 else [f"MLflow has {found.parents} parent runs of the training, not one"]
    units = sorted(unit for unit, _, _ in found.children)
    if units != sorted(control.metrics):
        told.append(f"MLflow has runs of {', '.join(units) or 'no unit'}, not one for each unit")
    return [*told, *_of_histories(found, control)]


def _of_histories(found: Recorded, control: Undisturbed) -> Iterator[str]:
    for unit, status, histories in found.children:
        if status != "FINISHED":
            yield f"MLflow's run of {unit} is {status}"
        steps = control.metrics.get(unit, [])
        for metric in steps[0] if steps else ():
            wanted = [(number, metrics[metric]) for number, metrics in enumerate(steps, 1)]
            if list(histories.get(metric, ())) != wanted:
                yield f"MLflow has other values of {metric} of {unit} than the undisturbed run"
