"""Parameters and metrics of a run, each there once, however often and by whatever pieces it was written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run

from koboshi.registry.records import StepRecord

_METRICS_A_REQUEST = 1000
_PARAMS_A_REQUEST = 100


def log_params(client: MlflowClient, run: Run, params: Mapping[str, Any]) -> None:
    """Log what is not there yet: MLflow refuses to change a parameter, and so do we."""
    missing = [Param(name, str(value)) for name, value in params.items() if name not in run.data.params]
    for some in _portions(missing, _PARAMS_A_REQUEST):
        client.log_batch(run.info.run_id, params=some)


def log_missing_metrics(client: MlflowClient, run: Run, metrics: Sequence[Metric]) -> None:
    """Log the metrics that the run has not at their step.

    Key: name and step. MLflow keeps a row for each name, step, time and value, so a step that was told twice with two
    times, by two tellers or because it was done again, would be there twice: what came first is left as it is. `run`
    is as it was found at the beginning, which tells whether there is anything to be looked for.
    """
    names = {metric.key for metric in metrics} & set(run.data.metrics)
    there = {(name, old.step) for name in names for old in client.get_metric_history(run.info.run_id, name)}
    log_metrics(client, run.info.run_id, [metric for metric in metrics if (metric.key, metric.step) not in there])


def log_metrics(client: MlflowClient, run_id: str, metrics: Sequence[Metric]) -> None:
    """Log metrics that are known not to be there."""
    for some in _portions(metrics, _METRICS_A_REQUEST):
        client.log_batch(run_id, some)


def by_step(steps: Iterable[StepRecord]) -> list[Metric]:
    """Each metric with its step's own time."""
    return [
        Metric(name, value, round(step.at_s * 1000), step.step)
        for step in steps
        for name, value in step.metrics.items()
    ]


def _portions(things: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (things[start : start + size] for start in range(0, len(things), size))
