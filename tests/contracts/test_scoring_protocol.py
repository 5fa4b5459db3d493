"""The replica's reading of MLflow's scoring protocol, beside MLflow's own server on the same artefact."""

import json

import mlflow.pyfunc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from koboshi.serving.engine import load
from koboshi.serving.protocol import BadRequest, parse
from tests.support.artefacts import recorded_artefact
from tests.support.models import COLUMNS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
NUMBERS = st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e9, 1e9)
NAMES = st.permutations([*COLUMNS, "extra"]).flatmap(lambda names: st.integers(3, 4).map(lambda n: names[:n]))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The same artefact, loaded by us and by MLflow; boosting, because it takes missing values."""
    folder = tmp_path_factory.mktemp("artefact") / "m"
    recorded_artefact(folder, "boosting")
    return load(folder).model, mlflow.pyfunc.load_model(str(folder))


def _ours(model, body):
    try:
        return model.predict(parse(body, model.signature))
    except BadRequest:
        return None


def _mlflows(model, body):
    try:
        answer = scoring_server.invocations(body, "application/json", model, model.metadata.get_input_schema())
    except MlflowException:
        return None
    return json.loads(answer.response)["predictions"] if answer.status == 200 else None


@st.composite
def tables(draw):
    """A request in any of the formats, with columns in any order, one too many or one too few."""
    names, count = draw(NAMES), draw(st.integers(1, 3))
    table = [[draw(NUMBERS) for _ in names] for _ in range(count)]
    records = [dict(zip(names, row, strict=True)) for row in table]
    columns = {name: [row[at] for row in table] for at, name in enumerate(names)}
    return draw(
        st.sampled_from(
            [
                {"dataframe_split": {"columns": names, "data": table}},
                {"dataframe_records": records},
                {"inputs": columns},
                {"instances": records},
            ]
        )
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request_=tables())
def test_what_mlflow_scores_is_scored_the_same(models, request_):
    """For tables of numbers: the same answers to the bit, or refused by both."""
    ours, theirs = models
    body = json.dumps(request_).encode()
    assert _ours(ours, body) == _mlflows(theirs, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b"{}",
        b'{"data": []}',
        b'{"inputs": {"a": [1], "b": [1], "c": [1]}, "instances": []}',
        b'{"dataframe_split": {"data": [[1, 2, 3]], "columns": ["a", "b"]}}',
        b'{"dataframe_split": {"columns": ["a", "b", "c"]}}',
        b'{"dataframe_records": {"a": 1}}',
        b'{"dataframe_records": [{"a": 1}]}',
        b'{"inputs": {"a": [1], "b": [1]}}',
        b'{"dataframe_records": [{"a": "x", "b": 1, "c": 1}]}',
    ],
)
def test_what_mlflow_refuses_is_refused(models, body):
    """Both servers say 400."""
    ours, theirs = models
    assert _ours(ours, body) is None
    assert _mlflows(theirs, body) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"dataframe_records": [{"a": "1.5", "b": 1, "c": 1}]}',
        b'{"dataframe_records": [{"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 1}]}',
    ],
)
def test_where_we_are_stricter_on_purpose(models, body):
    """Text for a number and a forgotten column: MLflow guesses, a replica asks."""
    ours, theirs = models
    assert _mlflows(theirs, body) is not None
    assert _ours(ours, body) is None
