"""What a project asks for: addresses that answer, ports that are free, secrets that others cannot read."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from koboshi.errors import NotConfigured
from koboshi.settings import Airflow, Kafka, Mlflow, Ray, Settings
from koboshi.stack.doctor import anything_wrong, examine
from koboshi.stack.doctor.project import (
    address_elsewhere,
    addresses,
    as_settings,
    holders,
    leftovers,
    mode_of,
    ports,
    private_files,
    process_name,
    secrets_of,
    sockets,
    state_folder,
    why_not_reached,
)
from koboshi.stack.paths import find_paths


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this process, at which somebody accepts."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_settings_that_do_not_fit_are_repeated() -> None:
    assert as_settings([]).verdict == "ok"
    found = as_settings(["training.actors in koboshi.toml is 0."])
    assert (found.verdict, found.found) == ("wrong", "training.actors in koboshi.toml is 0.")


def test_a_folder_that_is_refused_and_a_path_that_is_too_long_say_why() -> None:
    def too_long() -> None:
        raise NotConfigured("the temporary folder is too long a path.")

    assert state_folder(None).verdict == sockets(lambda: None).verdict == "ok"
    assert state_folder(NotConfigured("it belongs to user other.")).found == "it belongs to user other."
    assert sockets(too_long).verdict == "wrong"


def test_secrets_that_others_may_read_are_named_with_the_command(tmp_path: Path) -> None:
    """Those in the state folder, those that are named by hand, and the containers' own."""
    open_file, closed = tmp_path / "open", tmp_path / "closed"
    open_file.touch(mode=0o644)
    closed.touch(mode=0o600)
    modes = {path: mode for path in (open_file, closed) if (mode := mode_of(path)) is not None}
    found = private_files(modes)
    assert (found.verdict, found.remedy) == ("wrong", f"chmod 600 {open_file}")
    assert private_files({closed: 0o600}).verdict == "ok"
    assert mode_of(tmp_path / "not there") is None
    by_hand = Settings(project=tmp_path, airflow=Airflow(passwords_path=open_file))
    wanted = secrets_of(find_paths(tmp_path, tmp_path / ".koboshi"), by_hand)
    assert {path.name for path in wanted} >= {"secrets.json", "parts.json", "ray-token", ".env", "open"}


def test_ports_of_another_process_are_named_and_the_next_block_is_taken(port: int) -> None:
    """Only where there is no other block, something is wrong."""
    assert ports(24_000, {}, 24_000).found == "24000 to 24099 are free"
    taken = {24_000 + n: f"program{n} (process {n})" for n in range(5)}
    note = ports(24_000, taken, 24_100)
    assert note.verdict == "note"
    assert note.found == (
        "of 24000 to 24099, 24000 is program0 (process 0)'s, 24001 is program1 (process 1)'s, "
        "24002 is program2 (process 2)'s, 2 more are taken"
    )
    assert "takes 24100 to 24199" in note.remedy
    assert ports(24_000, taken, None).verdict == "wrong"
    assert holders([port, 1]) == {port: process_name(os.getpid()), 1: "another user's process"}
    assert process_name(2**22 + 1) == f"process {2**22 + 1}"


def test_processes_without_a_supervisor_are_counted() -> None:
    assert leftovers(0).verdict == "ok"
    assert (leftovers(3).verdict, leftovers(3).remedy) == ("note", "`koboshi down` ends them")


def test_an_address_is_reached_when_something_accepts(port: int) -> None:
    """Of several brokers one is enough; what is no address of a server is not asked."""
    here, closed = f"127.0.0.1:{port}", "127.0.0.1:9"
    assert why_not_reached(here) is None
    assert why_not_reached(f"{closed},{here}") is None
    assert "refused" in str(why_not_reached(closed))
    assert why_not_reached("broker:kafka") == "its port is not a number of a port"
    assert why_not_reached(f"postgresql://user:secret@{here}/database") is None
    assert "refused" in str(why_not_reached(f"postgresql://user:secret@{closed}/database"))
    assert why_not_reached("sqlite:///mlflow.db") is None
    assert why_not_reached("postgresql://host/database") is None
    assert "refused" in str(why_not_reached(f"http://{closed}"))
    found = address_elsewhere("schema_registry.url", "http://r", "no route")
    assert (found.verdict, found.found) == ("wrong", "http://r does not answer: no route")
    assert "schema_registry.url in koboshi.toml" in found.remedy
    assert "secret" not in address_elsewhere("mlflow.tracking_uri", "https://user:secret@m", "no route").found
    assert address_elsewhere("kafka.bootstrap_servers", here, None).verdict == "ok"


def test_every_address_that_a_person_has_set_is_looked_at(tmp_path: Path) -> None:
    """And nothing else that stands in these sections."""
    assert addresses(Settings(project=tmp_path)) == {}
    by_hand = Settings(
        project=tmp_path,
        ledger_url="postgresql://ledger.example/koboshi",
        kafka=Kafka(bootstrap_servers="a:1,b:2"),
        ray=Ray(address="head:6379", jobs_url="http://head:8265", token_path=Path("/token")),
        mlflow=Mlflow(tracking_uri="sqlite:///mlflow.db"),
        airflow=Airflow(base_url="https://airflow.example", username="me"),
    )
    assert addresses(by_hand) == {
        "kafka.bootstrap_servers": "a:1,b:2",
        "ray.address": "head:6379",
        "ray.jobs_url": "http://head:8265",
        "airflow.base_url": "https://airflow.example",
        "ledger_url": "postgresql://ledger.example/koboshi",
    }


def test_a_project_without_a_stack_is_examined_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker elsewhere that is away is the one thing that is wrong."""
    monkeypatch.setattr("koboshi.stack.paths.runtime_root", lambda: Path("/tmp/koboshi-of-nobody"))
    monkeypatch.setattr("koboshi.stack.doctor.machine.findings", lambda _folder: [])
    monkeypatch.setattr("koboshi.stack.doctor.installation.findings", list)
    settings = Settings(project=tmp_path, kafka=Kafka(bootstrap_servers="127.0.0.1:9"))
    findings = examine(settings, settings, [])
    assert [finding.check for finding in findings if finding.verdict == "wrong"] == ["kafka.bootstrap_servers"]
    assert anything_wrong(findings)
    assert not anything_wrong(examine(Settings(project=tmp_path), Settings(project=tmp_path), []))
    assert list(tmp_path.iterdir()) == []
