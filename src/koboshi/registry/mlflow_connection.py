"""The way to MLflow: patience that fits a task which is retried anyway, and errors in koboshi's words."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import requests
from mlflow import MlflowClient
from mlflow.exceptions import InvalidUrlException, MlflowException

from koboshi.errors import Conflict, KoboshiError, NotConfigured, Unavailable
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
NOT_THERE = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_LATER = frozenset({408, 425, 429})  # of the refusals of HTTP, those that pass
_NO_ADDRESS = (
    InvalidUrlException,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)
_asking_once = threading.RLock()

T = TypeVar("T")


def connect(tracking_uri: str) -> MlflowClient:
    """A client of this server, for tracking and registry alike. What the environment says already wins.

    Only a server on this machine is asked without a proxy, whatever the environment says: MLflow's client knows no
    other way to tell it so. Raises `NotConfigured` for what is no address.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.update(direct(os.environ))
    try:
        return MlflowClient(tracking_uri, registry_uri=tracking_uri)
    except (MlflowException, ValueError) as error:
        raise _no_address(tracking_uri, error) from error


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

    `NotConfigured` where it does not know who asks, or where its address is none.
    """
    try:
        yield
    except FAILURES as error:
        raise _meant(tracking_uri, error) from error


@contextmanager
def asking(tracking_uri: str) -> Iterator[MlflowClient]:
    """A client of this server, whose errors are koboshi's: see `connect` and `answering`."""
    client = connect(tracking_uri)
    with answering(tracking_uri):
        yield client


def if_there(ask: Callable[[], T]) -> T | None:
    """What MLflow answers, or None where it does not have, or no longer has, what is asked for."""
    try:
        return ask()
    except MlflowException as error:
        if error.error_code in NOT_THERE:
            return None
        raise


def _meant(uri: str, error: Exception) -> KoboshiError:
    """MLflow's error in koboshi's words; whatever is neither of the moment nor of an address is a refusal."""
    if isinstance(error, _NO_ADDRESS):
        return _no_address(uri, error)
    if _is_transient(error):
        return Unavailable(f"MLflow at {uri} does not answer ({_brief(error)}): try again.")
    code, status = str(getattr(error, "error_code", "")), _status(error)
    if code in _STRANGERS or status in (401, 403):
        return NotConfigured(f"MLflow at {uri} lets nobody in ({_brief(error)}): set its user and password.")
    said = _brief(error).removeprefix(f"{code}: ")
    if code in NOT_THERE or status == 404:
        return Conflict(f"MLflow at {uri} has not, or no longer, what is asked for: {said}.")
    return Conflict(f"MLflow at {uri} refuses ({code or status}): {said}.")


def _is_transient(error: BaseException | None) -> bool:
    """Whether MLflow did not answer, also where its client tells that as a refusal ("you may not have access")."""
    if isinstance(error, requests.RequestException):
        status = _status(error)
        return status is None or status >= 500 or status in _LATER
    return error is not None and (getattr(error, "error_code", None) in _TRANSIENT or _is_transient(error.__cause__))


def _status(error: BaseException) -> int | None:
    """The status of an answer that was an error of HTTP: artefacts are sent and fetched without MLflow's own errors."""
    response = getattr(error, "response", None) if isinstance(error, requests.RequestException) else None
    return None if response is None else int(response.status_code)


def _no_address(uri: str, error: Exception) -> NotConfigured:
    return NotConfigured(f"setting mlflow.tracking_uri: {uri!r} is no address of a server ({_brief(error)}).")


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200].strip().rstrip(".:")
