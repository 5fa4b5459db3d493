"""What a training leaves in MLflow is complete and there once, whatever request it was interrupted at."""

from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, Metric
from mlflow.exceptions import MlflowException

from koboshi.errors import Conflict, Corrupt, Unavailable
from koboshi.registry import mlflow_connection
from koboshi.registry.mlflow_model import verified_model
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import find_run, log_evaluation, record_training, recorded_model
from tests.support.mlflow_writes import Killed, Writes
from tests.support.models import fitted, rows, unit_record

# MLflow's own database code runs inside this process here; what it is warned of is not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")
KEY = "ab" * 32


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """MLflow on a database file: the store that the tracking server has behind it, without the server."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        MlflowClient(uri).search_experiments()
        yield uri
        mlflow.set_tracking_uri(None)


@pytest.fixture
def writes(monkeypatch):
    return Writes(monkeypatch)


def _record(store, experiment):
    return record_training(store, experiment, KEY, {"p": 1}, [unit_record("logistic", recoveries=("step 2 again",))])


def _assert_complete(store, experiment):
    client = MlflowClient(store)
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    found = {run.info.run_name: run for run in client.search_runs([experiment_id])}
    assert sorted(found) == [KEY[:8], "logistic"]
    parent, child = found[KEY[:8]], found["logistic"]
    assert {parent.info.status, child.info.status} == {"FINISHED"}
    assert (parent.data.params, child.data.params) == ({"p": "1"}, {"seed": "0"})
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.metrics == {"loss": 1 / 3, "recoveries": 1.0}
    assert "step 2 again" in child.data.tags["mlflow.note.content"]
    history = client.get_metric_history(child.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    models = client.search_logged_models([experiment_id])
    assert [(model.model_id, model.status) for model in models] == [
        (child.data.tags["koboshi.model_id"], LoggedModelStatus.READY)
    ]
    assert [output.model_id for output in child.outputs.model_outputs][-1] == models[0].model_id


def test_recording_again_writes_nothing(store, writes):
    """The same key finds what is there: not one write."""
    first = _record(store, "again")
    writes.arm(None, after=False)
    assert _record(store, "again") == first
    assert writes.names == []


@pytest.mark.parametrize("error", [requests.ConnectionError, lambda: MlflowException("API request failed")])
def test_an_answer_that_gets_lost_makes_no_second_run(store, writes, error):
    """A request that had its effect and seems to have failed is searched for before anything is made again."""
    writes.arm(1, after=True, error=error)
    try:
        _record(store, f"lost-{error.__name__}")
    except Unavailable:
        _record(store, f"lost-{error.__name__}")
    _assert_complete(store, f"lost-{error.__name__}")


def test_of_two_runs_that_a_race_made_everybody_takes_the_same(store):
    """A finished one before an unfinished one, else the oldest."""
    client = MlflowClient(store)
    experiment = client.create_experiment("race")
    tags = {"koboshi.key": KEY, "koboshi.unit": "u"}
    late, early = client.create_run(experiment, 2000, tags), client.create_run(experiment, 1000, tags)
    assert find_run(store, "race", KEY, "u") == early.info.run_id
    client.set_terminated(late.info.run_id)
    assert find_run(store, "race", KEY, "u") == late.info.run_id
    assert find_run(store, "race", KEY) is None
    assert find_run(store, "nowhere", KEY) is None


def test_an_evaluation_is_added_once(store, tmp_path):
    """The same numbers again change nothing; a unit that was never recorded is refused."""
    runs = _record(store, "evaluated")
    figure = tmp_path / "x.png"
    figure.write_bytes(b"picture")
    for _ in range(2):
        log_evaluation(store, "evaluated", KEY, "logistic", {"auc_roc": 0.9}, {"roc": figure})
    client = MlflowClient(store)
    assert [m.value for m in client.get_metric_history(runs.units["logistic"], "auc_roc")] == [0.9]
    assert [f.path for f in client.list_artifacts(runs.units["logistic"], "evaluation")] == ["evaluation/roc.png"]
    [model] = client.search_logged_models([client.get_run(runs.parent).info.experiment_id])
    assert (model.name, sorted(metric.key for metric in model.metrics)) == ("logistic", ["auc_roc", "loss"])
    for value in (0.8, 0.8, 0.9):
        log_evaluation(store, "evaluated", KEY, "logistic", {"auc_roc": value}, {})
        assert client.get_run(runs.units["logistic"]).data.metrics["auc_roc"] == value, "it was judged anew"
    assert [m.value for m in client.get_metric_history(runs.units["logistic"], "auc_roc")] == [0.9, 0.8, 0.9]
    with pytest.raises(Conflict, match="train stage"):
        log_evaluation(store, "evaluated", KEY, "forest", {}, {})


@pytest.mark.parametrize("kind", ["logistic", "forest", "boosting"])
def test_a_recorded_model_answers_to_the_bit(store, kind):
    """What comes back from MLflow predicts what went in; it is checked before it is loaded."""
    record_training(store, f"kind-{kind}", KEY, {}, [unit_record(kind)])
    model = recorded_model(store, f"kind-{kind}", KEY, kind)
    table = rows()[0]
    with verified_model(store, model.source, model.sha256, kind) as loaded:
        assert (loaded.predict_proba(table) == fitted(kind).predict_proba(table)).all()


def _register(store, name, registry=None):
    return (registry or MlflowRegistry(store, name)).register(name, KEY, "logistic")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_write_a_model_is_registered_once(store, writes, after):
    """I6: registering again after a crash finds the version, or makes the only one."""
    for fail_at in range(2):
        name = f"registered-{after}-{fail_at}"
        _record(store, name)
        writes.arm(fail_at, after)
        with pytest.raises(Killed):
            _register(store, name)
        writes.arm(None, after)
        ref, _made = _register(store, name)
        again, made = _register(store, name)
        assert (again, made) == (ref, False)
        assert ref.version == 1
        versions = MlflowClient(store).search_model_versions(f"name = '{name}'")
        assert [version.tags["koboshi.sha256"] for version in versions] == [ref.sha256]


def test_of_versions_that_a_race_made_the_lowest_is_the_model(store):
    """Two that registered at once agree afterwards."""
    _record(store, "raced")
    ref, _made = _register(store, "raced")
    client = MlflowClient(store)
    first = client.get_model_version("raced", "1")
    client.create_model_version("raced", first.source, first.run_id, tags=first.tags, model_id=first.model_id)
    assert _register(store, "raced") == (ref, False)


def test_a_flipped_byte_is_found_before_a_model_is_registered_or_loaded(store):
    """I2: the artefact is named, and nothing is registered."""
    _record(store, "flipped")
    model = recorded_model(store, "flipped", KEY, "logistic")
    _flip(Path(model.source.removeprefix("file://")) / "model.skops")
    with pytest.raises(Corrupt, match="logistic"):
        _register(store, "flipped")
    assert MlflowRegistry(store, "flipped").find(KEY, "logistic") is None
    with pytest.raises(Corrupt), verified_model(store, model.source, model.sha256, "the model"):
        pytest.fail("it was loaded")


def test_what_was_never_trained_cannot_be_registered(store):
    """One sentence that says what to do."""
    with pytest.raises(Conflict, match="run the train stage"):
        MlflowRegistry(store, "empty").register("empty", KEY, "logistic")


def test_aliases_and_versions_that_are_not_there(store):
    """Absence is an answer, not an error."""
    registry = MlflowRegistry(store, "absent")
    assert registry.aliased("champion") is None
    assert registry.version(1) is None
    with pytest.raises(Conflict):
        registry.point("champion", 1)
    _record(store, "absent")
    ref, _made = _register(store, "absent")
    registry.point("champion", ref.version)
    assert registry.aliased("champion") == 1
    assert registry.version(1) == ref


def test_a_server_that_is_away_is_worth_another_try(monkeypatch):
    """75, and soon: MLflow's own patience is minutes."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert mlflow_connection.connect("http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="try again"):
        find_run("http://127.0.0.1:9", "x", KEY)


def test_metrics_of_one_time_and_step_are_kept_once(store):
    """What idempotent metrics rest on: MLflow keeps one entry for the same name, time, step and value."""
    client = MlflowClient(store)
    run = client.create_run(client.create_experiment("metrics"))
    for _ in range(2):
        client.log_batch(run.info.run_id, [Metric("m", 1.0, 1000, 1)])
    assert len(client.get_metric_history(run.info.run_id, "m")) == 1


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
