"""MLflow's health: a run is written and read again. Over plain HTTP, because its client takes seconds to import."""

import time
from typing import Any
from urllib.parse import quote, urlencode

from koboshi.errors import Unavailable
from koboshi.probes import Health
from koboshi.probes.http_json import Refused, call, reading

EXPERIMENT = "koboshi-probe"
TAG = "koboshi.probe"
_NOT_THERE = frozenset({400, 404})  # MLflow answers 400 for an alias that a model does not have


def probe_mlflow(tracking_uri: str, limit_s: float = 10.0) -> Health:
    """Write a new value to a tag of the one run of the probe's experiment, and read it."""
    api, begun = f"{tracking_uri}/api/2.0/mlflow", time.monotonic()
    value = str(time.time_ns())
    try:
        with reading(tracking_uri):
            run = _probe_run(api, limit_s)
            call(f"{api}/runs/set-tag", {"run_id": run, "key": TAG, "value": value}, limit_s=limit_s)
            tags = list(call(f"{api}/runs/get?run_id={run}", limit_s=limit_s)["run"]["data"]["tags"])
    except Unavailable as error:
        return Health(False, f"no run could be written and read ({error})"[:200])
    if {"key": TAG, "value": value} not in tags:
        return Health(False, f"run {run} does not have the tag that was written to it")
    return Health(True, f"a run written and read in {time.monotonic() - begun:.1f} s")


def _probe_run(api: str, limit_s: float) -> str:
    experiment = _experiment(api, limit_s)
    found = call(f"{api}/runs/search", {"experiment_ids": [experiment], "max_results": 1}, limit_s=limit_s)
    if runs := found.get("runs"):
        return str(runs[0]["info"]["run_id"])
    started = {"experiment_id": experiment, "run_name": EXPERIMENT, "start_time": time.time_ns() // 1_000_000}
    return str(call(f"{api}/runs/create", started, limit_s=limit_s)["run"]["info"]["run_id"])


def _experiment(api: str, limit_s: float) -> str:
    try:
        found = call(f"{api}/experiments/get-by-name?experiment_name={EXPERIMENT}", limit_s=limit_s)
        return str(found["experiment"]["experiment_id"])
    except Unavailable as error:
        if "RESOURCE_DOES_NOT_EXIST" not in str(error):
            raise
    return str(call(f"{api}/experiments/create", {"name": EXPERIMENT}, limit_s=limit_s)["experiment_id"])


def aliased_version(tracking_uri: str, model: str, alias: str, limit_s: float = 5.0) -> int | None:
    """The version that an alias points at; None without the model or the alias. Raises `Unavailable`."""
    query = urlencode({"name": model, "alias": alias})
    try:
        found = call(f"{tracking_uri}/api/2.0/mlflow/registered-models/alias?{query}", limit_s=limit_s)
    except Refused as error:
        if error.status in _NOT_THERE:
            return None
        raise
    with reading(tracking_uri):
        return int(found["model_version"]["version"])


def example_of(tracking_uri: str, model: str, version: int, limit_s: float = 5.0) -> Any | None:
    """A request body that a version can answer: its input example. None where MLflow has none, or is away."""
    query = urlencode({"name": model, "version": version})
    try:
        download = f"{tracking_uri}/api/2.0/mlflow/model-versions/get-download-uri?{query}"
        with reading(tracking_uri):
            uri = call(download, limit_s=limit_s)["artifact_uri"]
            path = quote(f"{uri.partition(':/')[2].strip('/')}/serving_input_example.json")
        return call(f"{tracking_uri}/api/2.0/mlflow-artifacts/artifacts/{path}", limit_s=limit_s)
    except Unavailable:
        return None
