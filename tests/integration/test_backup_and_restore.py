"""A backup moves a project to another clone: what was landed, made and served there is so here (I1, I2, I4, I7)."""

import json
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest
import requests

from koboshi.ledger import Ledger
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import record_training
from koboshi.registry.release import release
from koboshi.stack.paths import find_paths
from tests.support.models import fitted, rows, unit_record
from tests.support.running_stack import UNMEASURED, RunningStack, project_copy

pytestmark = [pytest.mark.parts, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

# What the committed pipeline pins of the demo's stream; here another one is pinned.
PINNED = ("cut.json", "dvc.lock", "metrics.json")
WINDOW = ("--from", "2018-06-18", "--to", "2018-06-18")
MODEL, KEY = "card-fraud", "7" * 64


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningStack, RunningStack]]:
    """A project with a landed stream, datasets and a champion, at rest; and a clone into which it was restored."""
    file = str(tmp_path_factory.mktemp("moved") / "everything.backup")
    with ExitStack() as copies:
        original = copies.enter_context(project_copy())
        for name in PINNED:
            (original.project / name).unlink()
        original.up("kafka", "mlflow")
        land(original, "--limit", "6000")
        original.call("dvc", "repro", "features", **UNMEASURED)
        crown(original)
        original.down()
        assert "SHA-256" in original.run("backup", file).stdout
        clone = copies.enter_context(project_copy())
        clone.run("restore", file)
        clone.up("kafka", "mlflow", "replicas", "gateway")
        yield original, clone


def land(stack: RunningStack, *words: str) -> None:
    """Send so much of a day's stream, or what is left of it; land and pin it."""
    stack.run("stream", "simulate", *WINDOW, *words)
    stack.run("ingest", "run")
    stack.run("pin")


def crown(stack: RunningStack) -> None:
    """Register a model and let the slot `champion` point at it."""
    uri = str(stack.settings.mlflow.tracking_uri)
    record_training(uri, MODEL, KEY, {}, [unit_record("logistic")])
    registry = MlflowRegistry(uri, MODEL)
    version, _ = registry.register(MODEL, KEY, "logistic")
    release(Ledger(stack.settings.ledger_url), registry, "champion", None, version.version)


def outcomes(stack: RunningStack) -> list[str]:
    return [row["outcome"] for row in json.loads(stack.run("ingest", "audit", "--json").stdout)]


def test_dvc_has_nothing_to_do(moved: tuple[RunningStack, RunningStack]) -> None:
    """Cut, lock, cache and datasets came along: no stage is run but that which looks at the code, and always is."""
    original, clone = moved
    for name in ("cut.json", "dvc.lock"):
        assert (clone.project / name).read_bytes() == (original.project / name).read_bytes()
    lock = (clone.project / "dvc.lock").read_bytes()
    done = clone.call("dvc", "repro", "features", **UNMEASURED)
    assert done.stdout.count("Running stage") == done.stdout.count("Running stage 'code'") == 1
    assert "Checking out" not in done.stdout
    assert (clone.project / "dvc.lock").read_bytes() == lock


def test_the_audit_is_equal_and_landing_goes_on(moved: tuple[RunningStack, RunningStack]) -> None:
    """The broker's records came along, under the topics' old ids."""
    _, clone = moved
    assert set(outcomes(clone)) == {"equal"}
    land(clone)
    assert set(outcomes(clone)) == {"equal"}


def test_the_endpoint_answers_as_it_would_have_there(moved: tuple[RunningStack, RunningStack]) -> None:
    """The restored champion, verified by its digest when it was loaded, gives the model's own predictions."""
    _, clone = moved
    example = rows()[0].head(4)
    body = {"dataframe_split": {"columns": list(example.columns), "data": example.to_numpy().tolist()}}
    answer = requests.post(f"{clone.settings.gateway.url}/invocations", json=body, timeout=10)
    assert answer.status_code == 200
    np.testing.assert_array_equal(answer.json()["predictions"], fitted("logistic").predict_proba(example))


def test_secrets_are_made_anew(moved: tuple[RunningStack, RunningStack]) -> None:
    tokens = {find_paths(copy.project, copy.project / ".koboshi").own / "ray-token" for copy in moved}
    assert len({token.read_text() for token in tokens}) == len(tokens) == 2
