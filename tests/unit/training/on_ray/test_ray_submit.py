"""What the Jobs API answers, told apart: taken, taken already, unknown, refused, away."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from koboshi.errors import NotConfigured, Permanent, Unavailable
from koboshi.training.attach import JobInfo
from koboshi.training.on_ray.ray_submit import RayJobs, submission, title_of
from koboshi.training.spec import TrainingSpec
from tests.support.trainings import chain_spec


class Api(BaseHTTPRequestHandler):
    """Answers each request with what the test put there."""

    answer: ClassVar[tuple[int, str]] = (200, "{}")
    asked: ClassVar[list[tuple[str, str, str]]] = []

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.asked.append((f"{self.command} {self.path}", self.headers.get("Authorization", ""), body))
        status, text = self.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = _serve  # noqa: N815 (named by the library)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[RayJobs]:
    Api.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    (tmp_path / "token").write_text("secret\n")
    yield RayJobs(f"http://127.0.0.1:{server.server_port}", tmp_path / "token")
    server.shutdown()
    server.server_close()
    thread.join()


def answers(status: int, text: str = "{}") -> None:
    Api.answer = (status, text)


def test_submits_under_the_given_name_with_the_token(jobs: RayJobs) -> None:
    answers(200)
    assert jobs.submit("name-1", "do it", {"A": "b"}, "features 5fd1c0a2: forest")
    ((line, authorization, body),) = Api.asked
    assert line == "POST /api/jobs/"
    assert authorization == "Bearer secret"
    assert json.loads(body)["submission_id"] == "name-1"
    assert json.loads(body)["entrypoint"] == "do it"
    assert json.loads(body)["metadata"] == {"job_name": "features 5fd1c0a2: forest"}, "what the dashboard shows"


@pytest.mark.parametrize("status", [400, 500])
def test_a_name_that_is_taken_is_no_error(jobs: RayJobs, status: int) -> None:
    answers(status, "ValueError: Job with submission_id name-1 already exists. Please use another one.")
    assert not jobs.submit("name-1", "do it", {})


@pytest.mark.parametrize(
    ("status", "error"), [(500, Unavailable), (400, Permanent), (401, NotConfigured), (403, NotConfigured)]
)
def test_other_answers_to_a_submit_are_errors(jobs: RayJobs, status: int, error: type[Exception]) -> None:
    answers(status, "Traceback\nValueError: this is why.")
    with pytest.raises(error, match="token" if status in (401, 403) else "this is why"):
        jobs.submit("name-1", "do it", {})


def test_finds_a_job(jobs: RayJobs) -> None:
    answers(200, '{"status": "FAILED", "driver_exit_code": 65, "message": "m"}')
    assert jobs.find("name-1") == JobInfo("FAILED", 65, "m")


def test_a_job_that_ray_does_not_know_is_none(jobs: RayJobs) -> None:
    answers(404, "Job name-1 does not exist")
    assert jobs.find("name-1") is None


def test_a_sick_api_is_unavailable(jobs: RayJobs) -> None:
    answers(503)
    with pytest.raises(Unavailable, match="503"):
        jobs.find("name-1")


def test_a_log_that_cannot_be_read_is_empty(jobs: RayJobs) -> None:
    answers(500, "no agent")
    assert jobs.log("name-1") == ""
    answers(200, '{"logs": "line"}')
    assert jobs.log("name-1") == "line"


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="koboshi status"):
        RayJobs("http://127.0.0.1:9").find("name-1")


def test_a_token_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="no-token"):
        RayJobs("http://127.0.0.1:9", tmp_path / "no-token").find("name-1")


def test_the_submission_reads_the_specification_from_a_file(tmp_path: Path) -> None:
    spec = chain_spec(tmp_path, steps={"a": 1})
    start = submission(spec, Path("/project/ray jobs/train.py"))
    *_, job, file, name = start.entrypoint("name-1").rsplit(" ", 3)
    assert name == "name-1"
    assert job.endswith("train.py'")
    assert TrainingSpec.from_json(Path(file).read_text()) == spec
    assert start.env["PYTHONPATH"] == spec.place.project
    assert start.title == f"{Path(spec.table.path).name} {spec.table.manifest_sha256[:8]}: a"


def test_a_title_names_a_few_units_and_counts_many(tmp_path: Path) -> None:
    few, many = ({f"u{number}": 1 for number in range(count)} for count in (4, 1_000))
    assert title_of(chain_spec(tmp_path, steps=few)).endswith(": u0, u1, u2, u3")
    assert title_of(chain_spec(tmp_path, steps=many)).endswith(": 1,000 units")
