"""The way to MLflow: patience that fits a task which is retried anyway, and errors in koboshi's words."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from koboshi.errors import Conflict, NotConfigured, Unavailable
from koboshi.proxies import direct

_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
# MLflow's own defaults are 7 retries of up to 120 s: a dead server would hold a task for minutes.
_ENVIRONMENT = {
    _RETRIES: "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
FAILURES = (MlflowException, requests.RequestException)
_TRANSIENT = frozenset({"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED"})
_STRANGERS = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})
_asking_once = threading.RLock()


def connect(tracking_uri: str) -> MlflowClient:
    """A client of this server, for tracking and registry alike. What the environment says already wins.

    Only a server on this machine is asked without a proxy, whatever the environment says: MLflow's client knows no
    other way to tell it so.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.update(direct(os.environ))
    return MlflowClient(tracking_uri, registry_uri=tracking_uri)


@contextmanager
def asking_once() -> Iterator[None]:
    """Let no request of this block be repeated by MLflow's client: it would, also one that makes something.

    The client knows only a setting for the whole process, so other threads have less patience meanwhile.
    """
    with _asking_once:
        before = os.environ.get(_RETRIES)
        os.environ[_RETRIES] = "0"
        try:
            yield
        finally:
            if before is None:
                del os.environ[_RETRIES]
            else:
                os.environ[_RETRIES] = before


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Raise `Unavailable` where MLflow does not answer or fails inside, `Conflict` where it refuses.

    `NotConfigured` where it does not know who asks.
    """
    try:
        yield
    except FAILURES as error:
        if _is_transient(error):
            raise Unavailable(f"MLflow at {tracking_uri} does not answer ({_brief(error)}): try again.") from error
        code = getattr(error, "error_code", "")
        if code in _STRANGERS:
            raise NotConfigured(
                f"MLflow at {tracking_uri} lets nobody in ({_brief(error)}): set its user and password."
            ) from error
        raise Conflict(f"MLflow at {tracking_uri} refuses ({code}): {_brief(error)}.") from error


def _is_transient(error: BaseException | None) -> bool:
    """Whether MLflow did not answer, also where its client tells that as a refusal ("you may not have access")."""
    if error is None:
        return False
    silent = isinstance(error, requests.RequestException)
    return silent or getattr(error, "error_code", None) in _TRANSIENT or _is_transient(error.__cause__)


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200].rstrip(".")
