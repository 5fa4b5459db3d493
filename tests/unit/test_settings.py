import json
from pathlib import Path

import pytest

from koboshi.errors import NotConfigured
from koboshi.settings import find_project, load_settings, required


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KOBOSHI_PROJECT", "KOBOSHI_STATE_DIR", "KOBOSHI_KAFKA__BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "koboshi.toml").write_text('[kafka]\nbootstrap_servers = "from-toml:1"\n')
    return tmp_path


def test_the_environment_comes_before_the_file_and_both_before_the_stack(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = {"kafka": {"bootstrap_servers": "from-stack:1"}, "gateway": {"url": "http://from-stack:2"}}
    (project / ".koboshi").mkdir()
    (project / ".koboshi" / "endpoints.json").write_text(json.dumps(endpoints))
    settings = load_settings(project)
    assert (settings.kafka.bootstrap_servers, settings.gateway.url) == ("from-toml:1", "http://from-stack:2")
    monkeypatch.setenv("KOBOSHI_KAFKA__BOOTSTRAP_SERVERS", "from-environment:1")
    assert load_settings(project).kafka.bootstrap_servers == "from-environment:1"
    assert load_settings(project, with_stack=False).gateway.url is None


def test_state_lives_in_one_folder_that_a_setting_moves(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(project).ledger_url == f"sqlite:///{project / '.koboshi' / 'ledger.db'}"
    monkeypatch.setenv("KOBOSHI_STATE_DIR", str(project / "elsewhere"))
    assert load_settings(project).ledger_url == f"sqlite:///{project / 'elsewhere' / 'ledger.db'}"


def test_checkpoints_are_in_the_state_folder_or_a_folder_or_at_a_url(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is one of the project, wherever a command is called."""
    assert load_settings(project).checkpoint_store == ""
    for told, meant in [("big/disk", str(project / "big/disk")), ("/mnt/x", "/mnt/x"), ("s3://b/p", "s3://b/p")]:
        monkeypatch.setenv("KOBOSHI_TRAINING__CHECKPOINTS", told)
        assert load_settings(project).checkpoint_store == meant


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[stack]\nbase_port = 80\n", "setting stack.base_port: Input should be greater than or equal to 1024"),
        ("[stack]\nbase_prot = 8000\n", "setting stack.base_prot: Extra inputs are not permitted"),
        (
            "[training]\ncheckpoints_kept = 2\n",
            "setting training.checkpoints_kept: Input should be greater than or equal",
        ),
        ("[stack\n", "koboshi.toml cannot be read"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(project: Path, toml: str, said: str) -> None:
    (project / "koboshi.toml").write_text(toml)
    with pytest.raises(NotConfigured, match=said):
        load_settings(project)


def test_the_project_is_found_from_a_folder_below(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "er")
    assert find_project() == project
    monkeypatch.setenv("KOBOSHI_PROJECT", str(project))
    monkeypatch.chdir("/")
    assert find_project() == project


def test_outside_a_project_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOBOSHI_PROJECT", str(tmp_path))
    with pytest.raises(NotConfigured, match="set KOBOSHI_PROJECT"):
        find_project()


def test_a_missing_address_says_how_to_get_one() -> None:
    assert required("broker:9092", "Kafka") == "broker:9092"
    with pytest.raises(NotConfigured, match="Kafka has no address: start the stack with `koboshi up`"):
        required(None, "Kafka")
