"""A container's health is the real work of its part, and a success counts for a while."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from koboshi.probes.ray_probe import probe_ray_head
from koboshi.settings import Settings
from koboshi.stack import container_health
from koboshi.stack.part_state import part_probe
from koboshi.stack.parts import parts_of, usual_groups
from koboshi.stack.topology import container_topology


def test_a_success_counts_until_it_is_old(tmp_path: Path) -> None:
    """So Docker may ask every few seconds without the parts' doing real work each time."""
    mark = tmp_path / "mark"
    assert not container_health.is_fresh(mark, 45, now=1000.0)
    mark.touch()
    os.utime(mark, (1000.0, 1000.0))
    assert container_health.is_fresh(mark, 45, now=1044.0)
    assert not container_health.is_fresh(mark, 45, now=1045.0)


def test_a_failure_says_why_and_leaves_no_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`docker inspect` shows the reason; the next question asks for work again."""
    monkeypatch.setattr(container_health, "MARK", tmp_path / "mark")
    monkeypatch.setattr("sys.argv", ["container_health", "gateway"])
    with pytest.raises(SystemExit, match="1"):
        container_health.main()
    assert "gateway:23004" in capsys.readouterr().out
    assert not (tmp_path / "mark").exists()


def test_every_part_has_a_probe_of_its_own() -> None:
    """None is healthy where nothing runs, and each says what did not answer."""
    settings = Settings.model_validate({"project": Path("/nowhere"), **NOBODY})
    parts = parts_of(container_topology(), usual_groups())
    for name in ("airflow-api-server", "airflow-scheduler", "ray-head", "mlflow", "gateway", "replica-2", "postgres"):
        health = part_probe(settings, parts[name])()
        assert not health.ok
        assert health.detail
    assert {name for name in parts if not callable(part_probe(settings, parts[name]))} == set()


NOBODY = {
    "ray": {"address": "127.0.0.1:9", "jobs_url": "http://127.0.0.1:9"},
    "airflow": {"base_url": "http://127.0.0.1:9"},
    "mlflow": {"tracking_uri": "http://127.0.0.1:9"},
    "gateway": {"url": "http://127.0.0.1:9"},
}


def test_the_head_is_asked_for_its_jobs_with_the_token(tmp_path: Path) -> None:
    """Nodes need a head that answers before they start, so it cannot be asked for its nodes."""
    (tmp_path / "token").write_text("secret\n")
    with jobs_api("Bearer secret") as url:
        assert probe_ray_head(url, tmp_path / "token").detail == "knows of 2 jobs"
        assert not probe_ray_head(url, None).ok


@contextmanager
def jobs_api(authorization: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.path == "/api/jobs/" and self.headers["Authorization"] == authorization
            data = json.dumps([{}, {}]).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()
            thread.join()
