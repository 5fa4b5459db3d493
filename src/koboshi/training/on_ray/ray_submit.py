"""Ray's Jobs API over plain HTTP: submit under a name of our own, look, read the log. Every call has a time limit."""

import dataclasses
import hashlib
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from koboshi.errors import NotConfigured, Permanent, Unavailable
from koboshi.events import Sink
from koboshi.files import publish_private
from koboshi.formats.manifest import DatasetRef
from koboshi.ledger import Ledger
from koboshi.proxies import client
from koboshi.training.attach import JobInfo, Submission, ensure_trained
from koboshi.training.checkpoints import read_checkpoint
from koboshi.training.spec import RunConfig, TrainingSpec, UnitSpec, training_key

TIMEOUT_S = 30.0
JOB = "koboshi.training.job"
NAMED = 4  # units that a job's title names


@dataclasses.dataclass(frozen=True, slots=True)
class RayJobs:
    """The jobs of one cluster; `token_path` names the file with the cluster's token, where it asks for one.

    A call that is not answered within `timeout_s` counts as not answered at all: `Unavailable`.
    """

    url: str
    token_path: Path | None = None
    timeout_s: float = TIMEOUT_S

    def submit(self, name: str, entrypoint: str, env: Mapping[str, str], title: str = "") -> bool:
        """Submit a job; False when there is, or was, one of this name (Ray takes a name once).

        Under a crash: Ray has the job or has not; the next submit of the same name finds out. Ray's dashboard shows
        the title as the job's name, and `name` as its submission id.
        """
        body = {"submission_id": name, "entrypoint": entrypoint, "runtime_env": {"env_vars": dict(env)}}
        body |= {"metadata": {"job_name": title or name}}
        answer = self._request("POST", "/api/jobs/", body)
        if "already exists" in answer.text:
            return False
        if answer.status_code >= 500:
            raise Unavailable(f"Ray at {self.url} could not take job {name}: {_last_line(answer)}.")
        if not answer.is_success:
            raise Permanent(f"Ray at {self.url} refused job {name}: {_last_line(answer)}.")
        return True

    def find(self, name: str) -> JobInfo | None:
        """How a job is; None when this cluster does not know it (it was never submitted, or the head was restarted)."""
        answer = self._request("GET", f"/api/jobs/{name}")
        if answer.status_code == 404:
            return None
        if not answer.is_success:
            raise Unavailable(f"Ray's jobs API at {self.url} answered {answer.status_code}: {_last_line(answer)}.")
        job = answer.json()
        return JobInfo(job["status"], job.get("driver_exit_code"), job.get("message") or "")

    def log(self, name: str) -> str:
        """What a job has written so far; empty when it cannot be read just now, for nothing depends on it."""
        answer = self._request("GET", f"/api/jobs/{name}/logs")
        return str(answer.json()["logs"]) if answer.is_success else ""

    def _request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            with client(self.url, timeout=self.timeout_s, headers=self._headers(), follow_redirects=True) as ray:
                answer = ray.request(method, self.url + path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(
                f"Ray's jobs API at {self.url} does not answer ({type(error).__name__}): see `koboshi status`."
            ) from error
        if answer.status_code in (401, 403):
            raise NotConfigured(f"Ray at {self.url} refused the token: set ray.token_path to the cluster's token file.")
        return answer

    def _headers(self) -> dict[str, str]:
        if self.token_path is None:
            return {}
        try:
            return {"Authorization": f"Bearer {self.token_path.read_text().strip()}"}
        except OSError as error:
            raise NotConfigured(
                f"Ray's token {self.token_path} cannot be read: start Ray with `koboshi up`."
            ) from error


def submission(spec: TrainingSpec, job: Path | None = None) -> Submission:
    """How a training is started: the specification becomes a file, which `koboshi.training.job` reads on the cluster.

    `job` is a script in its place.
    """
    file, program = spec.file, ["-m", JOB] if job is None else [str(job)]
    publish_private(file, spec.to_json())  # the ledger's URL may hold a password

    def entrypoint(name: str) -> str:
        # Ray's many threads in the driver would each have a heap of their own: 45 of 305 MB with a thousand units.
        return f"MALLOC_ARENA_MAX=2 {shlex.join([sys.executable, *program, str(file), name])}"

    return Submission(entrypoint, {"PYTHONPATH": spec.place.project, "PYTHONUNBUFFERED": "1"}, title_of(spec))


def title_of(spec: TrainingSpec) -> str:
    """What a training is about, in a line: `features 5fd1c0a2: logistic, forest, boosting`."""
    units = ", ".join(spec.units) if len(spec.units) <= NAMED else f"{len(spec.units):,} units"
    return f"{Path(spec.table.path).name} {spec.table.manifest_sha256[:8]}: {units}"


def _last_line(answer: httpx.Response) -> str:
    lines = answer.text.strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else f"status {answer.status_code}"


def train_on_ray(
    table: DatasetRef,
    units: Mapping[str, UnitSpec],
    place: RunConfig,
    jobs: RayJobs,
    job: Path,
    code: bytes,
    emit: Sink,
) -> dict[str, bytes]:
    """Have units trained by the job script `job`, and return the state of each after its last step, verified.

    Key: the table's manifest, the units with their parameters, and `code`, the source that decides what they do: where
    these are the same, nothing is trained again. `emit` gets what happens meanwhile; `print` will do. Under a crash of
    this call the job runs on, and the next call attaches to it; raises `Permanent` when a unit cannot be trained,
    `Transient` when trying again may help.
    """
    key = training_key(table, units, code=hashlib.sha256(code).hexdigest(), threads=1)
    spec = TrainingSpec(key, table, units, place)
    result = ensure_trained(spec, jobs, Ledger(place.ledger_url), submission(spec, job), emit)
    return {name: read_checkpoint(place.store_url, steps[-1].checkpoint) for name, steps in result.units.items()}
