"""The schema registry: a part that is described in one file, and off unless it is named."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from koboshi.errors import NotConfigured
from koboshi.settings import load_settings
from koboshi.stack.compose_file import render
from koboshi.stack.parts import chosen_groups, endpoints, external_groups, schema_registry, technologies, usual_groups
from koboshi.stack.parts.jars import Jars
from koboshi.stack.parts.schema_registry import JARS, NAME, SCHEMA, SchemaRegistry, probe_registry, registry_part
from koboshi.stack.paths import StackPaths
from koboshi.stack.topology import Ports, Topology, container_topology, ensure_secrets, own_executables

URL = "http://127.0.0.1:24092/apis/ccompat/v7"


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    paths = StackPaths(tmp_path, tmp_path / ".koboshi", Path("/tmp/k/x"))
    return Topology(paths, Ports(24_000), ensure_secrets(paths), own_executables())


def project(folder: Path, text: str = "") -> Path:
    (folder / "koboshi.toml").write_text(text)
    return folder


def test_it_is_started_only_when_it_is_named(tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path), with_stack=False)
    assert NAME not in chosen_groups((), settings)
    assert chosen_groups([NAME], settings) == (NAME,)


def test_an_address_in_the_settings_says_that_it_runs_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In koboshi.toml or the environment, as for any other part."""
    settings = load_settings(project(tmp_path, '[schema_registry]\nurl = "http://r:8081"\n'), with_stack=False)
    assert settings.of(SchemaRegistry).url == "http://r:8081"
    assert external_groups(settings) == {NAME}
    assert chosen_groups([NAME], settings) == ()
    monkeypatch.setenv("KOBOSHI_SCHEMA_REGISTRY__URL", "http://e:8081")
    assert load_settings(tmp_path, with_stack=False).of(SchemaRegistry).url == "http://e:8081"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[schema_registry]\nurll = 'x'\n", "unknown setting schema_registry.urll in koboshi.toml, did you mean url?"),
        ("[schema_registri]\nurl = 'x'\n", "unknown setting schema_registri in koboshi.toml, did you mean schema_reg"),
    ],
)
def test_what_nothing_reads_is_refused_as_anywhere(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(NotConfigured) as raised:
        load_settings(project(tmp_path, text))
    assert str(raised.value).startswith(said)


def test_whoever_loads_settings_finds_the_running_one(topology: Topology) -> None:
    assert endpoints(topology, [NAME]) == {"schema_registry": {"url": URL}}
    topology.paths.endpoints.write_text(json.dumps(endpoints(topology, [NAME])))
    assert load_settings(project(topology.paths.project)).of(SchemaRegistry).url == URL


def test_nothing_of_it_listens_beyond_this_machine(topology: Topology) -> None:
    """Its management, too, which takes all addresses where it is not told otherwise."""
    words = registry_part(topology).argv
    assert "-Dquarkus.http.host=127.0.0.1" in words
    assert "-Dquarkus.management.host=127.0.0.1" in words


def test_in_containers_it_is_a_service_when_it_is_named() -> None:
    """Its archive is fetched by a service that ends, its schemas are in the project's volume."""
    assert NAME not in yaml.safe_load(render(container_topology()))["services"]
    services = yaml.safe_load(render(container_topology(), (*usual_groups(), NAME)))["services"]
    assert services[NAME]["depends_on"][f"{NAME}-init"] == {"condition": "service_completed_successfully"}
    assert services[NAME]["volumes"] == ["project:/project"]
    assert "-Dquarkus.http.host=0.0.0.0" in services[NAME]["command"]
    found = services["airflow-scheduler"]["environment"]["KOBOSHI_SCHEMA_REGISTRY__URL"]
    assert found == "http://schema-registry:23092/apis/ccompat/v7"


def test_the_archive_is_unpacked_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash in the middle it is unpacked again."""
    jars = Jars(NAME, JARS.lock, "")
    folder = jars.folder(tmp_path)
    (folder / "unpacked-unfinished" / "lib").mkdir(parents=True)
    (folder / "complete").touch()
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "quarkus-run.jar").write_bytes(b"a jar")
    schema_registry.shutil.make_archive(str(folder / "app"), "gztar", tmp_path / "content")
    monkeypatch.setattr("sys.argv", ["schema_registry", str(tmp_path)])
    for _ in range(2):
        schema_registry.main()
        assert [path.name for path in (folder / "unpacked").iterdir()] == ["quarkus-run.jar"]
        (folder / "app.tar.gz").unlink(missing_ok=True)


def test_the_probe_registers_and_reads_under_a_name_of_its_own() -> None:
    asked: list[tuple[str, str | None]] = []
    with registry(asked, json.dumps(SCHEMA)) as url:
        health = probe_registry(url)
    assert health.ok, health.detail
    assert asked == [("/subjects/koboshi-probe/versions", "koboshi"), ("/schemas/ids/7", "koboshi")]


@pytest.mark.parametrize(("schema", "said"), [('"string"', "schema 7 is not the one"), ("{", "other JSON")])
def test_another_schema_than_was_registered_is_no_health(schema: str, said: str) -> None:
    with registry([], schema) as url:
        health = probe_registry(url)
    assert (health.ok, said in health.detail) == (False, True), health.detail
    assert not technologies()[NAME].by_default


@contextmanager
def registry(asked: list[tuple[str, str | None]], schema: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self, content: Any) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.path, self.headers["X-Registry-GroupId"]))
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.answer({"schema": schema})

        def do_POST(self) -> None:
            self.answer({"id": 7})

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()
            thread.join()
