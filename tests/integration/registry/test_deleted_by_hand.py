"""What a person deletes in MLflow's pages is restored, made again, or refused with the command that brings it back."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from koboshi.errors import Conflict, Corrupt, NotConfigured
from koboshi.events import in_words
from koboshi.ledger import Ledger, leases, steps
from koboshi.refs import CheckpointRef
from koboshi.registry.mlflow_delivery import MlflowProgress, deliver, hand_over
from koboshi.registry.mlflow_logged_models import MODEL_TAG
from koboshi.registry.mlflow_lookup import experiment_id, search_runs
from koboshi.registry.mlflow_model import verified_model
from koboshi.registry.mlflow_registry import MlflowRegistry
from koboshi.registry.mlflow_runs import find_run, log_evaluation, record_training, recorded_model
from koboshi.registry.outbox import Outbox
from koboshi.registry.progress import TrainingPlan, TrainingRecord
from tests.support.models import unit_record

pytestmark = [pytest.mark.parts, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
KEY, UNIT, EXPERIMENT = "d1" * 32, "logistic", "deleted-by-hand"


@pytest.fixture(scope="module")
def uri(stack_of):
    return str(stack_of("mlflow").settings.mlflow.tracking_uri)


@pytest.fixture(scope="module")
def client(uri):
    return MlflowClient(uri, registry_uri=uri)


@pytest.fixture(scope="module")
def record(uri):
    """Record the training, again and again."""
    return lambda: record_training(uri, EXPERIMENT, KEY, {"threads": 1}, [unit_record(UNIT, 0)])


def runs(client, experiment=EXPERIMENT, view=ViewType.ACTIVE_ONLY):
    found = search_runs(client, experiment_id(client, experiment), "", view)
    return {run.info.run_id: run.data.tags.get(MLFLOW_PARENT_RUN_ID) for run in found}


def test_runs_that_were_deleted_are_restored_when_they_are_recorded_again(uri, client, record):
    """Parent and child, as they were, with each other; who only wants to read gets the command that restores them."""
    first = record()
    child = first.units[UNIT]
    client.delete_run(first.parent)
    client.delete_run(child)
    for read in (
        lambda: recorded_model(uri, EXPERIMENT, KEY, UNIT),
        lambda: log_evaluation(uri, EXPERIMENT, KEY, UNIT, {"auc": 0.5}, {}),
        lambda: MlflowRegistry(uri, EXPERIMENT).register(EXPERIMENT, KEY, UNIT),
    ):
        with pytest.raises(Conflict, match=f"mlflow runs restore --run-id {child}"):
            read()
    assert record() == first
    assert runs(client) == {first.parent: None, child: first.parent}
    log_evaluation(uri, EXPERIMENT, KEY, UNIT, {"auc": 0.5}, {})


def test_a_model_that_was_deleted_is_made_again_by_the_same_run(uri, client, record):
    """And a tag that somebody has removed."""
    first = record()
    run_id = first.units[UNIT]
    old = recorded_model(uri, EXPERIMENT, KEY, UNIT)
    client.delete_logged_model(old.model_id)
    with pytest.raises(Conflict, match=f"the model of run {run_id} .* run the train stage again"):
        recorded_model(uri, EXPERIMENT, KEY, UNIT)
    assert record() == first
    new = recorded_model(uri, EXPERIMENT, KEY, UNIT)
    assert (new.run_id, new.model_id != old.model_id) == (run_id, True)
    client.delete_tag(run_id, MODEL_TAG)
    with pytest.raises(Conflict, match="run the train stage again"):
        recorded_model(uri, EXPERIMENT, KEY, UNIT)
    record()
    assert recorded_model(uri, EXPERIMENT, KEY, UNIT) == new


def test_a_parent_that_is_deleted_while_it_trains_is_made_again_with_its_children(uri, client, tmp_path):
    """They keep no dead parent; what was half done is not restored, since it may be a ghost."""
    key, ledger = "d2" * 32, Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    plan = TrainingPlan("deleted-in-training", key, {}, {UNIT: {}})
    commit(ledger, key, 1)
    MlflowProgress(ledger, uri, plan).tell()
    dead = find_run(uri, plan.experiment, key)
    client.delete_run(dead)
    commit(ledger, key, 2)
    MlflowProgress(ledger, uri, plan).tell()
    parent, child = find_run(uri, plan.experiment, key), find_run(uri, plan.experiment, key, UNIT)
    assert parent not in (None, dead)
    assert runs(client, plan.experiment) == {parent: None, child: parent}
    assert [metric.step for metric in client.get_metric_history(child, "loss")] == [1, 2]
    ledger.close()


def commit(ledger, key, step):
    lease = leases.acquire(ledger, f"training/{key}", "driver", ttl_s=60)
    steps.commit(ledger, lease, [(CheckpointRef(key, UNIT, step, f"{step}", "0" * 64), {"loss": 1 / step})])
    leases.release(ledger, lease)


def test_an_experiment_that_was_deleted_keeps_its_trainings_in_the_outbox_and_names_the_remedy(uri, client, tmp_path):
    """No training is quarantined for it; once it is restored, as the sentence says, all of them are delivered."""
    name, ledger, outbox, said = "deleted-experiment", Ledger(f"sqlite:///{tmp_path / 'l.db'}"), Outbox(tmp_path), []
    where = experiment_id(client, name)
    client.delete_experiment(where)
    training = TrainingRecord(name, KEY, {}, [unit_record(UNIT, 0)])
    assert not hand_over(outbox, ledger, uri, training, in_words(said.append))
    remedy = f"mlflow experiments restore --experiment-id {where}"
    assert said[0].startswith(f"MLflow does not take it (experiment {name} was deleted")
    assert remedy in said[0]
    assert deliver(outbox, ledger, uri, in_words(said.append)) == 0
    assert remedy in said[-1]
    for asked in (
        lambda: recorded_model(uri, name, KEY, UNIT),
        lambda: log_evaluation(uri, name, KEY, UNIT, {}, {}),
    ):
        with pytest.raises(NotConfigured, match=remedy):
            asked()
    assert outbox.refused() == {}
    client.restore_experiment(where)
    assert deliver(outbox, ledger, uri, in_words(said.append)) == 1
    assert recorded_model(uri, name, KEY, UNIT)
    ledger.close()


def test_a_registered_model_or_a_version_that_was_deleted_is_not_there(uri, client, record):
    """As if it had never been; what still asks for it gets one sentence."""
    record()
    registry = MlflowRegistry(uri, "deleted-model")
    ref, made = registry.register(EXPERIMENT, KEY, UNIT)
    registry.point("champion", ref.version)
    client.delete_model_version(registry.name, str(ref.version))
    assert (made, registry.aliased("champion"), registry.version(ref.version)) == (True, None, None)
    for asked in (lambda: registry.source(ref), lambda: registry.point("champion", ref.version)):
        with pytest.raises(Conflict, match=r"has not, or no longer, what is asked for: Model Version \(name=deleted"):
            asked()
    client.delete_registered_model(registry.name)
    assert (registry.aliased("champion"), registry.versions()) == (None, [])
    assert registry.register(EXPERIMENT, KEY, UNIT) == (ref, True)


def test_an_artefact_whose_folder_is_gone_is_corrupt_and_not_to_be_tried_again(uri, record, stack_of):
    """MLflow answers as if it failed inside, which would be tried for ever."""
    record()
    model = recorded_model(uri, EXPERIMENT, KEY, UNIT)
    kept = Path(stack_of("mlflow").project) / ".koboshi" / "mlflow" / "artifacts"
    folder = kept / model.source.removeprefix("mlflow-artifacts:/")
    shutil.move(folder, folder.with_name("elsewhere"))
    with (
        pytest.raises(Corrupt, match="restore them from a backup"),
        verified_model(uri, model.source, model.sha256, "m"),
    ):
        pass
    shutil.move(folder.with_name("elsewhere"), folder)
    with verified_model(uri, model.source, model.sha256, "m"):
        pass
