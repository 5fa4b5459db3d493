"""What MLflow's errors mean: away, refusing, or not letting us in."""

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, PERMISSION_DENIED

from koboshi.errors import Conflict, KoboshiError, NotConfigured, Unavailable
from koboshi.registry.mlflow_connection import answering

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
    ],
)
def test_a_server_that_is_away_is_no_refusal(error: Exception, meant: type[KoboshiError]) -> None:
    """Else an entry of the outbox would be set aside, because MLflow died while its model was written."""
    with pytest.raises(meant), answering("http://here"):
        raise error
