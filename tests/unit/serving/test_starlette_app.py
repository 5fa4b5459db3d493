import asyncio
import json
import threading

import httpx
import pytest

from koboshi.refs import ModelRef
from koboshi.serving import starlette_app
from koboshi.serving.engine import Checked, load
from koboshi.serving.protocol import Column
from koboshi.serving.replica import Refusal, Replica, Serving
from koboshi.serving.starlette_app import ScoringApp
from tests.support.artefacts import FolderRegistry, recorded_artefact
from tests.support.models import fitted, rows


class Client:
    """Requests to the application, without a server between."""

    def __init__(self, app):
        self._transport = httpx.ASGITransport(app.asgi, raise_app_exceptions=False)

    def get(self, path):
        return asyncio.run(self._ask("GET", path))

    def post(self, path, **options):
        return asyncio.run(self._ask("POST", path, **options))

    async def _ask(self, method, path, **options):
        async with httpx.AsyncClient(transport=self._transport, base_url="http://replica") as client:
            return await client.request(method, path, **options)


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artefact") / "m"
    recorded_artefact(folder)
    return load(folder)


@pytest.fixture
def app(tmp_path, checked):
    replica = Replica("replica-1", "champion", FolderRegistry(), tmp_path, load)
    replica.serving = Serving(ModelRef("m", 3, "key", "5" * 64), checked, 0.0)
    return ScoringApp(replica)


@pytest.fixture
def client(app):
    return Client(app)


def _records(count):
    return json.dumps({"dataframe_records": rows()[0].head(count).to_dict("records")})


def _post(client, body, content_type="application/json"):
    return client.post("/invocations", content=body, headers={"content-type": content_type})


def test_a_prediction_is_the_models_and_names_who_made_it(client):
    """I7: the answer comes from the version that the header names, to the bit."""
    answer = _post(client, _records(3))
    assert answer.status_code == 200
    assert answer.json() == {"predictions": fitted("logistic").predict_proba(rows()[0].head(3)).tolist()}
    assert answer.headers["x-koboshi-model-version"] == "3"
    assert answer.headers["x-koboshi-model-digest"] == "5" * 64
    assert answer.headers["x-koboshi-replica"] == "replica-1"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "says"),
    [
        ("{", "application/json", 400, "BAD_REQUEST", "not JSON"),
        ('{"inputs": {"a": [1]}}', "application/json", 400, "BAD_REQUEST", "column b is missing"),
        ("a,b\n1,2", "text/csv", 415, "UNSUPPORTED_MEDIA_TYPE", "application/json"),
        (" " * (8 * 1024 * 1024 + 1), "application/json", 413, "TOO_LARGE", "8 MiB"),
    ],
)
def test_what_cannot_be_scored_is_a_typed_error(client, body, content_type, status, code, says):
    """One shape of error, MLflow's: error_code and message."""
    answer = _post(client, body, content_type)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert says in answer.json()["message"]


def test_other_paths_and_methods_have_the_same_shape_of_error(client):
    """404 and 405 name what there is."""
    assert client.get("/nowhere").json()["error_code"] == "NOT_FOUND"
    assert client.get("/invocations").json()["error_code"] == "METHOD_NOT_ALLOWED"


def test_ready_means_that_a_prediction_was_right(client, app, checked):
    """Readiness is red as soon as the model answers its example otherwise."""
    assert client.get("/health").status_code == 200
    wrong = Checked(checked.model, rows()[0].head(1).to_dict("list"), [[0.5, 0.5]])
    app.replica.serving = Serving(app.replica.serving.ref, wrong, 0.0)
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["error_code"]) == (503, "NOT_READY")


def test_without_a_model_everything_says_so(client, app):
    """503 with the reason: nothing promoted, the registry away, or the version refused."""
    app.replica.serving = None
    assert "nothing has been promoted to the slot champion" in _post(client, "{}").json()["message"]
    app.replica.registry_error = "MLflow does not answer."
    assert client.get("/health").status_code == 503
    assert "MLflow does not answer" in client.get("/health").json()["message"]
    ref = ModelRef("m", 4, "k", "d")
    app.replica.refusals = {ref: Refusal(ref, "digest", "the artefact of version 4 has another digest", 0.0)}
    assert "version 4" in _post(client, "{}").json()["message"]
    assert client.get("/version").json()["refused"]["version"] == 4
    assert client.get("/ping").status_code == 200


def test_a_stopping_replica_answers_and_is_not_ready(client, app):
    """Draining: the balancer is told to go elsewhere, who is here already is served."""
    app.draining = True
    assert client.get("/health").status_code == 503
    answer = _post(client, _records(1))
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"


class _Stuck:
    """A model that hangs until it is let go."""

    signature = (Column("a", "double"),)

    def __init__(self):
        self.let_go = threading.Event()

    def predict(self, _columns):
        self.let_go.wait(30)
        return [1.0]


def test_predictions_that_hang_turn_readiness_red(client, app, monkeypatch):
    """A health check beside the predictions would stay green; this one makes a prediction like everybody else."""
    monkeypatch.setattr(starlette_app, "PREDICTION_LIMIT_S", 0.1)
    monkeypatch.setattr(starlette_app, "READINESS_LIMIT_S", 0.1)
    good, stuck = app.replica.serving, _Stuck()
    app.replica.serving = Serving(good.ref, Checked(stuck, {"a": [1.0]}, [1.0]), 0.0)
    try:
        for _ in range(starlette_app.SCORING_THREADS):
            answer = _post(client, '{"inputs": {"a": 1}}')
            assert (answer.status_code, answer.json()["error_code"]) == (504, "TIMEOUT")
        app.replica.serving = good
        assert client.get("/health").status_code == 503
    finally:
        stuck.let_go.set()


def test_a_model_that_fails_is_an_error_of_ours(client, app, checked, monkeypatch):
    """500 in the one shape, so that the gateway tries another replica."""

    def broken(_columns):
        raise RuntimeError("boom")

    monkeypatch.setattr(checked.model, "predict", broken)
    answer = _post(client, _records(1))
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
