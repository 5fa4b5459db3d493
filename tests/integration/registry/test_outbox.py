"""A real MLflow server that dies, stays away and comes back, and one whose answers get lost."""

import subprocess
import time
from collections import Counter
from contextlib import nullcontext

import pytest

from koboshi.drills.tracking.tracker_witness import TrackerWitness
from koboshi.errors import Unavailable
from koboshi.events import in_words, unheard
from koboshi.ledger import Ledger, leases, steps
from koboshi.project.outbox_first import deliver_first
from koboshi.refs import CheckpointRef
from koboshi.registry import mlflow_lookup
from koboshi.registry.mlflow_delivery import MlflowProgress, hand_over
from koboshi.registry.outbox import Outbox
from koboshi.registry.progress import StepRecord, TrainingPlan, TrainingRecord, UnitRecord
from koboshi.settings import load_settings
from tests.support.mlflow_server import MlflowServer, losing_proxy
from tests.support.models import fitted, rows
from tests.support.running_stack import KOBOSHI, REPOSITORY, UNMEASURED, clean_environment

pytestmark = pytest.mark.parts
KEY, UNITS, STEPS = "ab" * 32, ("logistic", "boosting"), 3
READY = "LOGGED_MODEL_READY"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def project(tmp_path, monkeypatch, server):
    """A project folder whose MLflow is this server."""
    (tmp_path / "koboshi.toml").write_text("")
    for name in ("KOBOSHI_STATE_DIR", "KOBOSHI_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KOBOSHI_PROJECT", str(tmp_path))
    monkeypatch.setenv("KOBOSHI_MLFLOW__TRACKING_URI", server.uri)
    return tmp_path


def commit(ledger, step):
    lease = leases.acquire(ledger, f"training/{KEY}", "driver", ttl_s=60)
    done = [(CheckpointRef(KEY, unit, step, f"{unit}-{step}", "0" * 64), {"loss": 1 / step}) for unit in UNITS]
    steps.commit(ledger, lease, done)
    leases.release(ledger, lease)


def record(ledger, experiment):
    units = []
    for name in UNITS:
        done = [StepRecord(s.checkpoint.step, s.metrics, s.committed_at) for s in steps.committed(ledger, KEY, name)]
        units.append(UnitRecord(name, {"seed": 0}, done, (), fitted(name), rows()[0].head(4)))
    return TrainingRecord(experiment, KEY, {"threads": 1}, units)


def assert_complete(witness):
    """One parent, a child for each unit, none deleted; each step once; a model each."""
    runs = {run.unit: run for run in witness.runs()}
    assert sorted(runs) == ["", *sorted(UNITS)]
    assert len(witness.runs()) == len(runs)
    assert {run.status for run in runs.values()} == {"FINISHED"}
    assert {run.parent for run in runs.values()} == {"", runs[""].id}
    for unit in UNITS:
        assert witness.history(runs[unit], "loss") == [(step, 1 / step) for step in range(1, STEPS + 1)]
    assert witness.models() == sorted((runs[unit].id, READY) for unit in UNITS)


def test_mlflow_dies_in_the_training_and_comes_back_after_it(server, project, monkeypatch):
    """Steps appear while it is there; the record waits while it is away; then all of it is there, once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # no patience: it stays away
    settings = load_settings()
    ledger, outbox, said = Ledger(settings.ledger_url), Outbox.of(settings.state_dir), []
    plan = TrainingPlan("away", KEY, {"threads": 1}, {unit: {"seed": 0} for unit in UNITS})
    progress, witness = MlflowProgress(ledger, server.uri, plan), TrackerWitness(server.uri, "away")
    commit(ledger, 1)
    progress.tell()
    assert {run.status for run in witness.runs()} == {"RUNNING"}
    assert [witness.history(run, "loss") for run in witness.runs() if run.unit] == [[(1, 1.0)]] * 2
    server.kill()
    for step in range(2, STEPS + 1):
        commit(ledger, step)
        with pytest.raises(Unavailable):
            progress.tell()
    assert not hand_over(outbox, ledger, server.uri, record(ledger, "away"), in_words(said.append))
    assert "1 entry waits in the outbox" in said[0]
    with pytest.raises(Unavailable):
        deliver_first(settings, server.uri)
    assert koboshi("deliver")[0] == 75
    server.start()
    assert f"training {KEY[:16]}" in koboshi("status")[1]
    code, told = koboshi("deliver")
    assert (code, told.splitlines()[-1]) == (0, "1 training delivered.")
    assert_complete(witness)
    assert outbox.entries() == []
    assert "Nothing waits" in koboshi("status")[1]


def test_killed_while_it_delivers_the_next_delivery_completes_it(server, project):
    """SIGKILL to a real deliverer, as soon as its first unit is there; the lease is free at once."""
    settings = load_settings()
    ledger = Ledger(settings.ledger_url)
    for step in range(1, STEPS + 1):
        commit(ledger, step)
    Outbox.of(settings.state_dir).add(record(ledger, "killed"))
    witness = TrackerWitness(server.uri, "killed")
    command = subprocess.Popen(
        [KOBOSHI, "outbox", "deliver"], cwd=REPOSITORY, env=environment(), stdin=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not any(run.unit for run in witness.runs()):
        assert command.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    command.kill()
    command.wait()
    assert "RUNNING" in {run.status for run in witness.runs()}, "it was quicker than the kill"
    deliver_first(settings, server.uri)
    assert_complete(witness)


MADE = ("experiments/create", "runs/create", "logged-models")


@pytest.mark.parametrize("guarded", [True, False], ids=["asked once", "asked again"])
def test_whose_answer_gets_lost_is_not_made_again(server, project, monkeypatch, guarded):
    """MLflow's client repeats a request without an answer, also one that makes a run: then there is a ghost."""
    if not guarded:
        monkeypatch.setattr(mlflow_lookup, "asking_once", nullcontext)
    ledger = Ledger(load_settings().ledger_url)
    for step in range(1, STEPS + 1):
        commit(ledger, step)
    experiment = f"lost-{guarded}"
    with losing_proxy(server.port) as proxy:
        proxy.lose = {*MADE, "runs/log-batch", "runs/set-tag", "runs/update"}
        assert hand_over(Outbox.of(project / ".koboshi"), ledger, proxy.uri, record(ledger, experiment), unheard)
        assert proxy.lose == set()
        made = Counter(word for word in MADE for request in proxy.seen if request.endswith(f"/{word}"))
    witness = TrackerWitness(server.uri, experiment)
    if guarded:
        assert made == {"experiments/create": 1, "runs/create": 1 + len(UNITS), "logged-models": len(UNITS)}
        assert_complete(witness)
    else:
        assert made["runs/create"] == 2 + len(UNITS)
        assert len(witness.runs()) == 2 + len(UNITS), "the ghost was deleted, and was there"


def environment():
    settings = load_settings()
    return clean_environment(
        KOBOSHI_PROJECT=str(settings.project),
        KOBOSHI_MLFLOW__TRACKING_URI=str(settings.mlflow.tracking_uri),
        **UNMEASURED,  # what they do is measured here
    )


def koboshi(verb):
    """Exit code of `koboshi outbox VERB`, and what it says; on stderr MLflow speaks, too."""
    done = subprocess.run(
        [KOBOSHI, "outbox", verb], cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout
