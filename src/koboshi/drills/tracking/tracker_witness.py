"""What MLflow's server says of an experiment, by its REST interface: it shares nothing with who wrote it."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from koboshi.probes.http_json import call
from koboshi.proxies import client

LIMIT_S = 20.0
PARENT_TAG = "mlflow.parentRunId"


@dataclasses.dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run: `unit` and `parent` are empty for a parent; `metrics` are the names of those that it has."""

    id: str
    status: str
    key: str
    unit: str
    parent: str
    metrics: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class TrackerWitness:
    """Asks one server about one experiment; raises `Unavailable` when it does not answer."""

    url: str
    experiment: str

    def runs(self) -> list[TrackedRun]:
        """Every run that is there; none before the experiment is."""
        experiment = self._experiment()
        if experiment is None:
            return []
        asked = {"experiment_ids": [experiment], "max_results": 1000, "run_view_type": "ALL"}
        return [_run(row) for row in self._ask("runs/search", asked).get("runs", ())]

    def history(self, run: TrackedRun, metric: str) -> list[tuple[int, float]]:
        """Every value of a metric that was written to a run, with its step, in the order of the steps."""
        query = f"metrics/get-history?run_id={run.id}&metric_key={metric}&max_results=1000"
        found = self._ask(query).get("metrics", ())
        return sorted((int(row["step"]), float(row["value"])) for row in found)

    def models(self) -> list[tuple[str, str]]:
        """The run and the status of each model that was logged and is not deleted."""
        experiment = self._experiment()
        found = self._ask("logged-models/search", {"experiment_ids": [experiment]}) if experiment else {}
        infos = [row["info"] for row in found.get("models", ())]
        return sorted((str(info["source_run_id"]), str(info["status"])) for info in infos)

    def remove(self) -> None:
        """Delete the experiment, and the files of its artefacts."""
        if (experiment := self._experiment()) is None:
            return
        self._ask("experiments/delete", {"experiment_id": experiment})
        artefacts = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}"
        with client(artefacts, timeout=LIMIT_S) as mlflow:
            mlflow.delete(artefacts)

    def _experiment(self) -> str | None:
        found = self._ask("experiments/search", {"max_results": 1, "filter": f"name = '{self.experiment}'"})
        rows = found.get("experiments", ())
        return str(rows[0]["experiment_id"]) if rows else None

    def _ask(self, what: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return dict(call(f"{self.url}/api/2.0/mlflow/{what}", payload, limit_s=LIMIT_S))


def ghosts(witness: TrackerWitness, key: str, units: Sequence[str]) -> Iterator[str]:
    """What is not as one training leaves it: a finished run, one below it and one ready model for each unit."""
    runs = witness.runs()
    parents = [run for run in runs if run.key == key and not run.unit]
    if len(parents) != 1:
        yield f"{len(parents)} parent runs for one training"
    children = Counter(run.unit for run in runs if run.unit)
    for unit in units:
        if children[unit] != 1:
            yield f"{children[unit]} runs of {unit}"
    if strange := len(runs) - len(parents) - sum(children[unit] for unit in units):
        yield f"{strange} runs that belong to nothing"
    if unfinished := sorted(run.unit or "the parent" for run in runs if run.status != "FINISHED"):
        yield f"not finished: {', '.join(unfinished)}"
    owners = [run.id for run in runs if run.unit]
    models = witness.models()
    if models != sorted((owner, "LOGGED_MODEL_READY") for owner in owners):
        yield f"models: {', '.join(status for _, status in models) or 'none'}"


def _run(row: Mapping[str, Any]) -> TrackedRun:
    tags = {tag["key"]: tag["value"] for tag in row["data"].get("tags", ())}
    metrics = tuple(sorted(metric["key"] for metric in row["data"].get("metrics", ())))
    info = row["info"]
    unit, parent = tags.get("koboshi.unit", ""), tags.get(PARENT_TAG, "")
    return TrackedRun(info["run_id"], info["status"], tags.get("koboshi.key", ""), unit, parent, metrics)
