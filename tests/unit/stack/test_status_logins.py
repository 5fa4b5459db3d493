"""The logins that `koboshi status` shows, whatever the files hold that a person has named."""

from pathlib import Path

import pytest

from koboshi.settings import Airflow, Ray, Settings
from koboshi.stack.status import logins


def shown(folder: Path) -> list[dict[str, str]]:
    airflow = Airflow(base_url="http://a", passwords_path=folder / "passwords.json")
    ray = Ray(jobs_url="http://r", token_path=folder / "token")
    return logins(Settings(project=folder, airflow=airflow, ray=ray))


def test_a_password_and_a_token_are_shown(tmp_path: Path) -> None:
    (tmp_path / "passwords.json").write_text('{"admin": "secret"}')
    (tmp_path / "token").write_text("abc\n")
    assert shown(tmp_path) == [
        {"what": "Airflow", "url": "http://a", "user": "admin", "password": "secret"},
        {"what": "Ray", "url": "http://r", "token": "abc"},
    ]


@pytest.mark.parametrize("held", [None, b"", b"{", b"[]", b"3", b'{"other": "x"}', b"\xff", b"[" * 10])
def test_what_is_no_login_is_left_out(tmp_path: Path, held: bytes | None) -> None:
    """`status` is about the parts: it says how they are all the same."""
    if held is not None:
        (tmp_path / "passwords.json").write_bytes(held)
    (tmp_path / "token").mkdir()
    assert [sorted(one) for one in shown(tmp_path)] == [["url", "what"], ["url", "what"]]
