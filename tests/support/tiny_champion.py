"""A champion for the replicas of a test's stack: a tiny model, quick to make, and gone again afterwards."""

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from mlflow import MlflowClient

from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import record_training
from koboshi.stack.lifecycle import known_parts
from tests.support.models import unit_record
from tests.support.running_stack import RunningStack

REPLICAS = ("replica-1", "replica-2", "replica-3")
SLOT = "champion"
WITHIN_S = 60.0


@contextmanager
def tiny_champion(running: RunningStack) -> Iterator[RunningStack]:
    """Promote a tiny model by hand, where nothing is promoted; afterwards the replicas start anew, with none."""
    settings = running.settings
    registry = MlflowRegistry(str(settings.mlflow.tracking_uri), settings.serving.model)
    if registry.aliased(SLOT) is not None:
        yield running
        return
    key, experiment = uuid.uuid4().hex * 2, f"tiny-{uuid.uuid4().hex[:8]}"
    record_training(registry.tracking_uri, experiment, key, {}, [unit_record("logistic")])
    ref, _made = registry.register(experiment, key, "logistic")
    registry.point(SLOT, ref.version)
    try:
        _wait_for(running, ref.version)
        yield running
    finally:
        MlflowClient(registry.tracking_uri, registry_uri=registry.tracking_uri).delete_registered_model(registry.name)
        shutil.rmtree(settings.state_dir / "serving")
        for name in REPLICAS:
            running.run("kill", name)
        _wait_for(running, None)


def _wait_for(running: RunningStack, version: int | None) -> None:
    """Until each replica answers, with this version or with none, and says that the registry can be reached."""
    wanted = dict.fromkeys(REPLICAS, (version, "reachable"))
    deadline = time.monotonic() + WITHIN_S
    while (found := {name: _told(running, name) for name in REPLICAS}) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def _told(running: RunningStack, name: str) -> tuple[int | None, str] | None:
    try:
        told = requests.get(f"{known_parts(running.paths)[name].address}/version", timeout=5).json()
    except requests.RequestException:
        return None
    return told["version"], told["registry"]
