"""A training told of in MLflow, kept in the outbox, delivered: wherever that is cut off, it ends in the same rows."""

import dataclasses
import sqlite3
from contextlib import closing

import mlflow
import pytest
import requests
from mlflow import MlflowClient

from koboshi.errors import Unavailable
from koboshi.events import Recovered, in_words
from koboshi.journal import Journal
from koboshi.ledger import Ledger, intents, leases, steps
from koboshi.refs import CheckpointRef
from koboshi.registry import mlflow_delivery
from koboshi.registry.facts import TrainingFacts, marks
from koboshi.registry.mlflow_delivery import MlflowProgress, deliver, hand_over
from koboshi.registry.outbox import Outbox
from koboshi.registry.progress import StepRecord, TrainingPlan, TrainingRecord, UnitRecord
from tests.support.mlflow_writes import Killed, Writes
from tests.support.models import fitted, rows

# MLflow's own database code runs inside this process here; what it is warned of is not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")
KEY, UNIT, STEPS = "cd" * 32, "logistic", 3
FACTS = TrainingFacts(
    project="fraud",
    dataset="features",
    dataset_sha256="5f" * 32,
    commit="be" * 20,
    uncommitted=["cut.json"],
    changed={"train.seed": "0 → 7"},
)
INPUT, BATCH = 2, 5
MADE = {0: "create_experiment", 1: "create_run", INPUT: "log_inputs", 3: "create_run", BATCH: "log_batch"}
MADE |= {8: "create_logged_model"}
ROWS = """
SELECT r.name, r.status, r.lifecycle_stage, t.key, t.value, m.key, m.step, m.value
FROM experiments e JOIN runs r USING (experiment_id)
LEFT JOIN params t ON t.run_uuid = r.run_uuid LEFT JOIN metrics m ON m.run_uuid = r.run_uuid
WHERE e.name = ? ORDER BY r.name, t.key, m.key, m.step, m.timestamp
"""
MODELS = """
SELECT l.name, l.status FROM experiments e JOIN logged_models l USING (experiment_id)
WHERE e.name = ? AND l.lifecycle_stage = 'active'
"""
TAGS = """
SELECT r.name, t.key, t.value FROM experiments e JOIN runs r USING (experiment_id) JOIN tags t USING (run_uuid)
WHERE e.name = ? AND t.key NOT IN ('mlflow.parentRunId', 'koboshi.model_id', 'koboshi.sha256') ORDER BY 1, 2
"""
INPUTS = """
SELECT r.name, d.name, d.digest, t.name, t.value FROM experiments e JOIN runs r USING (experiment_id)
JOIN inputs i ON i.destination_id = r.run_uuid JOIN datasets d ON d.dataset_uuid = i.source_id
JOIN input_tags t USING (input_uuid) WHERE e.name = ? ORDER BY 1
"""
OF_MODELS = """
SELECT l.name, m.metric_name, m.metric_step, m.metric_value, m.dataset_name, m.dataset_digest
FROM experiments e JOIN logged_models l USING (experiment_id) JOIN logged_model_metrics m USING (model_id)
WHERE e.name = ? ORDER BY 2
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """MLflow on a database file: the store that the tracking server has behind it, without the server."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        MlflowClient(f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
        yield folder / "mlflow.db"
        mlflow.set_tracking_uri(None)


@pytest.fixture
def writes(monkeypatch):
    """The writes to MLflow, and the removal of what was delivered."""
    counted = Writes(monkeypatch)
    counted.count(monkeypatch, Outbox, "remove")
    return counted


class Training:
    """What follows a training: it tells of steps when they are committed, and hands the record over at the end."""

    def __init__(self, folder, database, experiment, key=KEY):
        folder.mkdir()
        self.uri, self.experiment, self.key = f"sqlite:///{database}", experiment, key
        self.ledger, self.outbox = Ledger(f"sqlite:///{folder / 'ledger.db'}"), Outbox.of(folder)
        self.journal = Journal(folder / "training.jsonl")
        self.said, self.trained = [], False

    def go(self):
        """As the next `train` does, from wherever the last one was stopped."""
        progress = self.progress()
        for step in range(1, STEPS + 1):
            self.commit(step)
            progress.tell()
        self.outbox.add(self.record())
        self.trained = True
        self.deliver()

    def deliver(self):
        """As whoever comes after the training, which is not asked again."""
        deliver(self.outbox, self.ledger, self.uri, in_words(self.said.append))

    def progress(self):
        facts = dataclasses.replace(FACTS, journal=self.journal.path)
        plan = TrainingPlan(self.experiment, self.key, {"p": 1}, {UNIT: {"seed": 0}}, facts)
        return MlflowProgress(self.ledger, self.uri, plan)

    def commit(self, step):
        """The driver's part: a step is committed once. The second one is done again on another worker."""
        if step <= len(steps.committed(self.ledger, self.key, UNIT)):
            return
        lease = leases.acquire(self.ledger, f"training/{self.key}", "driver", ttl_s=60)
        checkpoint = CheckpointRef(self.key, UNIT, step, f"{step}.ckpt", "0" * 64)
        steps.commit(self.ledger, lease, [(checkpoint, {"loss": 1 / step, "auc": 0.5})])
        leases.release(self.ledger, lease)
        if step == 2:
            self.journal.emit(Recovered(run=self.key, unit=UNIT, step=step, worker="w", after_s=0.1))

    def record(self):
        done = [
            StepRecord(step.checkpoint.step, step.metrics, step.committed_at)
            for step in steps.committed(self.ledger, self.key, UNIT)
        ]
        unit = UnitRecord(UNIT, {"seed": 0}, done, ("step 2 again",), fitted(UNIT), rows()[0].head(4))
        facts = dataclasses.replace(FACTS, recovered=marks(self.journal.entries(), self.key))
        return TrainingRecord(self.experiment, self.key, {"p": 1}, [unit], facts)


def told(database, experiment):
    """What is in MLflow's own tables: runs that were deleted, too, and every row of a metric."""
    with closing(sqlite3.connect(database)) as connection:
        return [
            connection.execute(query, (experiment,)).fetchall() for query in (ROWS, MODELS, TAGS, INPUTS, OF_MODELS)
        ]


def test_killed_at_any_write_the_end_is_that_of_an_undisturbed_run(database, writes, tmp_path):
    """I6: the same runs, not one more or deleted; the same metrics, each a row; one model; the outbox empty."""
    undisturbed = Training(tmp_path / "undisturbed", database, "undisturbed")
    undisturbed.go()
    names, expected = writes.names, told(database, "undisturbed")
    assert names.count("create_run") == 2
    assert names[-1] == "remove"
    assert [row[5:7] for row in expected[0] if row[0] == UNIT] == [
        *(("auc", step) for step in (1, 2, 3)),
        *(("loss", step) for step in (1, 2, 3)),
        ("recovered", 2),
        ("recoveries", 0),
    ]
    assert expected[1] == [(UNIT, 2)]
    name = "features: train.seed 0 → 7, 5f5f5f5f at bebebeb"
    assert {row[0] for row in expected[0]} == {name, UNIT}
    assert {(row[0], *row[1:]) for row in expected[2]} >= {
        (run, key, value)
        for run in (name, UNIT)
        for key, value in (
            ("mlflow.source.git.commit", "be" * 20),
            ("mlflow.source.git.dirty", "true"),
            ("koboshi.uncommitted", "cut.json"),
            ("changed.train.seed", "0 → 7"),
        )
    }
    assert expected[3] == [(run, "features", "5f" * 8, "mlflow.data.context", "training") for run in (name, UNIT)], (
        "each run has its dataset once"
    )
    assert expected[4] == [
        (UNIT, "auc", 3, 0.5, "features", "5f" * 8),
        (UNIT, "loss", 3, 1 / 3, "features", "5f" * 8),
    ], "a model has the metrics of its last step"
    for fail_at in range(len(names) + 1):
        training = Training(tmp_path / str(fail_at), database, f"killed-{fail_at}")
        writes.arm(fail_at, after=False)
        try:
            training.go()
        except Killed:
            assert fail_at < len(names)
        writes.arm(None, after=False)
        if training.trained:
            training.deliver()
        else:
            training.go()
        assert told(database, training.experiment) == expected, f"killed before write {fail_at}, {names[fail_at]}"
        assert training.outbox.entries() == []


@pytest.mark.parametrize("at", MADE, ids=["experiment", "parent", "input", "child", "batch", "model"])
def test_an_answer_that_gets_lost_makes_nothing_twice(database, writes, tmp_path, at):
    """The effect is there, the answer is not: what was made is found, and what cannot be found waits in the outbox."""
    training = Training(tmp_path / "state", database, f"lost-{at}")
    for step in range(1, STEPS + 1):
        training.commit(step)
    writes.arm(at, after=True, error=requests.ConnectionError)
    recorded = hand_over(
        training.outbox, training.ledger, training.uri, training.record(), in_words(training.said.append)
    )
    assert recorded == (at not in (INPUT, BATCH)), "what is made is found at once, as if its answer had come"
    assert len(training.outbox.entries()) == (at in (INPUT, BATCH))
    assert writes.names[at] == MADE[at]
    writes.arm(None, after=False)
    deliver(training.outbox, training.ledger, training.uri, in_words(training.said.append))
    if at == 0:
        Training(tmp_path / "other", database, "not-lost").go()
    assert told(database, training.experiment) == told(database, "not-lost")


def test_where_mlflow_takes_it_at_once_no_model_is_copied(database, tmp_path, monkeypatch):
    """Nothing is written into the outbox, and what waits there comes first."""
    first = Training(tmp_path / "state", database, "in-order")
    first.commit(1)
    first.outbox.add(first.record())
    monkeypatch.setattr(Outbox, "add", None)
    second = TrainingRecord("in-order", "ef" * 32, {}, [])
    assert hand_over(first.outbox, first.ledger, first.uri, second, in_words(first.said.append))
    assert first.outbox.entries() == []
    assert [line.split(":")[0] for line in first.said] == [
        "Delivered from the outbox",
        "Recorded in MLflow, experiment in-order",
    ]


def test_two_who_follow_one_training_tell_each_step_once(database, writes, tmp_path):
    """Whoever finds that somebody else has told MLflow meanwhile looks before it tells more."""
    training = Training(tmp_path / "state", database, "two")
    one, other = training.progress(), training.progress()
    for step in range(1, STEPS + 1):
        training.commit(step)
        one.tell()
        other.tell()
        other.tell()
    assert writes.names.count("create_run") == 2
    assert len(told(database, "two")[0]) == 2 * STEPS + 1 + 1, "two metrics a step, the recovery, and the parent"
    client = MlflowClient(training.uri)
    assert writes.names.count("log_batch") == 2 + STEPS, "parameters twice, and each step once"
    assert client.get_experiment_by_name("two")


def test_a_step_that_is_done_again_is_told_once(database, tmp_path):
    """Its checkpoint was harmed, and it was committed a second time: in MLflow the first time counts."""
    training = Training(tmp_path / "state", database, "again")
    training.commit(1)
    training.progress().tell()
    [step] = steps.committed(training.ledger, KEY, UNIT)
    lease = leases.acquire(training.ledger, f"training/{KEY}", "driver", ttl_s=60)
    steps.quarantine(training.ledger, lease, step.checkpoint, "harmed")
    leases.release(training.ledger, lease)
    training.commit(1)
    assert steps.committed(training.ledger, KEY, UNIT)[0].committed_at > step.committed_at
    training.progress().tell()
    hand_over(training.outbox, training.ledger, training.uri, training.record(), in_words(training.said.append))
    client = MlflowClient(training.uri)
    experiment = client.get_experiment_by_name("again").experiment_id
    [child] = [run for run in client.search_runs([experiment]) if run.info.run_name == UNIT]
    [row] = client.get_metric_history(child.info.run_id, "loss")
    assert row.timestamp == round(step.committed_at * 1000)


def test_a_training_that_nobody_is_at_does_not_say_that_it_is_running(database, tmp_path):
    """The next record closes its runs; whoever takes it up opens them again; other clones' runs are left alone."""
    abandoned = Training(tmp_path / "state", database, "abandoned")
    intents.claim(abandoned.ledger, KEY)
    abandoned.commit(1)
    abandoned.progress().tell()
    client = MlflowClient(abandoned.uri)
    experiment = client.get_experiment_by_name("abandoned").experiment_id
    stranger = client.create_run(experiment, tags={"koboshi.key": "12" * 32}).info.run_id

    def statuses():
        runs = client.search_runs([experiment], f"tags.`koboshi.key` = '{KEY}'")
        return {run.info.status for run in runs}

    assert statuses() == {"RUNNING"}
    record = TrainingRecord("abandoned", "ef" * 32, {}, [])
    with_driver = leases.acquire(abandoned.ledger, f"training/{KEY}", "driver", ttl_s=60)
    hand_over(abandoned.outbox, abandoned.ledger, abandoned.uri, record, in_words(abandoned.said.append))
    assert statuses() == {"RUNNING"}
    leases.release(abandoned.ledger, with_driver)
    hand_over(abandoned.outbox, abandoned.ledger, abandoned.uri, record, in_words(abandoned.said.append))
    assert statuses() == {"KILLED"}
    assert client.get_run(stranger).info.status == "RUNNING"
    again = abandoned.progress()
    again.tell()
    assert statuses() == {"RUNNING"}
    again.fail("unit logistic cannot be trained")
    assert statuses() == {"FAILED"}
    abandoned.go()
    assert statuses() == {"FINISHED"}


def test_what_cannot_be_delivered_is_quarantined_and_holds_up_nobody(database, tmp_path):
    """A flipped byte, and a refusal of MLflow's: named, kept with the reason, and the next one is delivered.

    What only waits for its experiment to be restored waits on.
    """
    training = Training(tmp_path / "state", database, "refused")
    for number, experiment in enumerate(("refused", "", "deleted", "refused"), start=1):
        training.outbox.add(TrainingRecord(experiment, f"0{number}" * 32, {}, []))
    flipped = training.outbox.entries()[0].path
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"x")
    client = MlflowClient(training.uri)
    client.delete_experiment(client.create_experiment("deleted"))
    assert deliver(training.outbox, training.ledger, training.uri, in_words(training.said.append)) == 1
    reasons = list(training.outbox.refused().values())
    assert len(reasons) == 2
    assert "was recorded" in reasons[0]
    assert "refuses" in reasons[1]
    assert [entry.key for entry in training.outbox.entries()] == ["03" * 8]
    assert "waits on: experiment deleted was deleted" in training.said[-2]


def test_while_mlflow_is_away_it_waits_and_stays_in_order(tmp_path, monkeypatch):
    """75 for those who need it there; for a training that is done, a sentence and nothing more."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    training = Training(tmp_path / "state", tmp_path / "none.db", "away")
    training.uri = "http://127.0.0.1:9"
    for key in ("01" * 32, "02" * 32):
        record = TrainingRecord("away", key, {}, [])
        assert not hand_over(training.outbox, training.ledger, training.uri, record, in_words(training.said.append))
    assert "2 entries wait in the outbox, delivered by the next train, evaluate or promote" in training.said[-1]
    assert [entry.key for entry in training.outbox.entries()] == ["01" * 8, "02" * 8]
    with pytest.raises(Unavailable, match="try again"):
        deliver(training.outbox, training.ledger, training.uri, in_words(training.said.append))
    training.commit(1)
    with pytest.raises(Unavailable):
        training.progress().tell()
    assert not hand_over(training.outbox, training.ledger, None, record, in_words(training.said.append))
    assert len(training.outbox.entries()) == 2


def test_one_delivers_at_a_time(database, tmp_path, monkeypatch):
    """The lease is held by another process: a training waits in the outbox instead of being recorded beside it."""
    monkeypatch.setattr(mlflow_delivery, "TURN_S", 0)
    training = Training(tmp_path / "state", database, "one-at-a-time")
    leases.acquire(training.ledger, mlflow_delivery.LEASE, "somebody", ttl_s=60)
    assert not hand_over(
        training.outbox, training.ledger, training.uri, TrainingRecord("x", KEY, {}, []), in_words(training.said.append)
    )
    assert "is held by somebody" in training.said[0]
    assert len(training.outbox.entries()) == 1
