"""What MLflow's errors mean: away, refusing, or not letting us in."""

import pytest
import requests
from mlflow.exceptions import InvalidUrlException, MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    INVALID_STATE,
    PERMISSION_DENIED,
    REQUEST_LIMIT_EXCEEDED,
    RESOURCE_DOES_NOT_EXIST,
)

from koboshi.errors import Conflict, KoboshiError, NotConfigured, Unavailable
from koboshi.registry.mlflow_connection import answering, connect

AWAY = MlflowException("API request failed: connection refused", INTERNAL_ERROR)
REFUSED = MlflowException("no such thing", INVALID_PARAMETER_VALUE)


def wrapped(cause: Exception) -> Exception:
    """As MLflow's client does: whatever comes of asking for a model is a refusal, with the reason behind it."""
    try:
        try:
            raise cause
        except Exception as error:
            raise MlflowException("you may not have access to the model", INVALID_PARAMETER_VALUE) from error
    except MlflowException as error:
        return error


def answered(status: int) -> Exception:
    """What comes of sending or fetching an artefact: the HTTP library's own error."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} for url", response=response)


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (requests.ConnectionError("refused"), Unavailable),
        (AWAY, Unavailable),
        (wrapped(AWAY), Unavailable),
        (wrapped(requests.ReadTimeout("silent")), Unavailable),
        (REFUSED, Conflict),
        (wrapped(REFUSED), Conflict),
        (MlflowException("who are you", PERMISSION_DENIED), NotConfigured),
        (MlflowException("not found", RESOURCE_DOES_NOT_EXIST), Conflict),
        (MlflowException("deleted", INVALID_STATE), Conflict),
        (MlflowException("slow down", REQUEST_LIMIT_EXCEEDED), Unavailable),
        (InvalidUrlException("Invalid url: http://h ere"), NotConfigured),
        (requests.exceptions.MissingSchema("no http://"), NotConfigured),
        *((answered(status), Conflict) for status in (400, 404, 409, 413)),
        *((answered(status), NotConfigured) for status in (401, 403)),
        *((answered(status), Unavailable) for status in (408, 429, 500, 502, 503, 504)),
    ],
)
def test_a_server_that_is_away_is_no_refusal(error: Exception, meant: type[KoboshiError]) -> None:
    """Else an entry of the outbox would be quarantined, because MLflow died while its model was written."""
    with pytest.raises(meant), answering("http://here"):
        raise error


@pytest.mark.parametrize("where", ["mlflow:5000", "ftp://here/x", "http://[::1"])
def test_an_address_that_is_none_is_a_setting_that_is_wrong(where: str) -> None:
    """Said when a client is made, by the setting's name, and not as MLflow's stack trace."""
    with pytest.raises(NotConfigured, match=r"mlflow\.tracking_uri"):
        connect(where)


def test_mlflows_words_are_said_once() -> None:
    """Its client puts the code before them; ours names the server and the code."""
    error = MlflowException("RESOURCE_DOES_NOT_EXIST: Run 'x' not found", RESOURCE_DOES_NOT_EXIST)
    with (
        pytest.raises(
            Conflict, match=r"^MLflow at http://here has not, or no longer, what is asked for: Run 'x' not found"
        ),
        answering("http://here"),
    ):
        raise error
