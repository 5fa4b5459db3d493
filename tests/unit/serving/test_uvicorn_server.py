"""A port that cannot be had is one sentence, before a replica begins anything."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from koboshi.cli import app
from koboshi.errors import NotConfigured
from koboshi.serving.uvicorn_server import bound


@pytest.fixture
def taken() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken_says_which_and_what_to_do(
    taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 65: the same call fails again as long as the other program runs."""
    (tmp_path / "koboshi.toml").write_text("")
    monkeypatch.setenv("KOBOSHI_PROJECT", str(tmp_path))
    monkeypatch.setenv("KOBOSHI_MLFLOW__TRACKING_URI", "http://127.0.0.1:9")
    error = CliRunner().invoke(app, ["serve", "--port", str(taken)]).exception
    assert isinstance(error, NotConfigured)
    assert str(error).startswith(
        f"port {taken} of 127.0.0.1 is taken by another program: choose another one with --port"
    )


def test_an_address_of_another_machine_says_so() -> None:
    with pytest.raises(NotConfigured, match=r"of .* cannot be listened on .*: give an address of this machine"):
        bound("192.0.2.1", 8000)


def test_a_port_that_is_free_is_bound_and_not_yet_listened_on() -> None:
    """So a balancer does not take the replica for ready before it can answer."""
    with bound("127.0.0.1", 0) as listener, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname(), timeout=5)
