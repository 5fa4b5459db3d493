"""What a replica wants to know of MLflow: where an alias points, by REST, and the bytes of an artefact.

MLflow itself costs 70 MB and more than a second to import, so a replica does without it: the alias is one documented
REST call, and a download, which is rare, runs in a short process (`download`).
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from koboshi.errors import Corrupt, Unavailable
from koboshi.proxies import client, direct
from koboshi.refs import ModelRef
from koboshi.serving.replica import Aliased

_NOT_THERE = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
_ALIAS = "/api/2.0/mlflow/registered-models/alias"
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


class MlflowReader:
    """Looks at one slot (an alias of a registered model). Not shared between threads."""

    def __init__(self, tracking_uri: str, model: str, slot: str, timeout_s: float = 3.0) -> None:
        """Nothing is asked yet. Credentials are those of MLflow's environment variables."""
        self.model = model
        self._uri = tracking_uri.rstrip("/")
        self._query = {"name": model, "alias": slot}
        self._client = client(self._uri, timeout=timeout_s, follow_redirects=True)
        if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
            self._client.auth = (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
        elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            self._client.headers["Authorization"] = f"Bearer {token}"

    def look(self) -> Aliased | None:
        """The version that the slot's alias points at, or None when there is no model or no alias yet."""
        try:
            answer = self._client.get(self._uri + _ALIAS, params=self._query)
            body = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise Unavailable(
                f"MLflow at {self._uri} does not answer ({type(error).__name__}): trying again."
            ) from error
        try:
            if answer.is_success:
                return _aliased(body["model_version"])
            if body.get("error_code") in _NOT_THERE:
                return None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unavailable(f"{self._uri} answers with JSON that is not MLflow's: trying again.") from error
        raise Unavailable(f"MLflow at {self._uri} answers {answer.status_code}: trying again.")

    def fetch(self, seen: Aliased, folder: Path) -> Path:
        """Download an artefact into a folder; `Corrupt` when there is none, `Unavailable` when it takes too long."""
        command = [sys.executable, "-m", "koboshi.serving.mlflow_reader", seen.source, str(folder)]
        environment = {**_PATIENCE, **os.environ, **direct(os.environ), "MLFLOW_TRACKING_URI": self._uri}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"the artefact of version {seen.ref.version} was not there after 120 s.") from error
        if done.returncode != 0:
            self.look()  # raises Unavailable where the whole server is away, which says nothing of the artefact
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Corrupt(f"the artefact of version {seen.ref.version} cannot be downloaded: {reason}")
        # MLflow puts a download into a folder of the source's own name.
        return next((path.parent for path in folder.rglob("MLmodel")), folder)


def _aliased(version: dict[str, Any]) -> Aliased:
    tags = {tag["key"]: tag["value"] for tag in version.get("tags", [])}
    key, sha256 = tags.get("koboshi.key", ""), tags.get("koboshi.sha256", "")
    return Aliased(ModelRef(version["name"], int(version["version"]), key, sha256), version["source"])


def download() -> None:
    """`python -m koboshi.serving.mlflow_reader SOURCE FOLDER`: MLflow in a process of its own, which ends again."""
    from mlflow.artifacts import download_artifacts

    download_artifacts(sys.argv[1], dst_path=sys.argv[2])


if __name__ == "__main__":
    download()
