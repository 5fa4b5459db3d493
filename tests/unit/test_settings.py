import json
import re
from pathlib import Path

import pytest

from koboshi.environment import NOT_SETTINGS
from koboshi.errors import NotConfigured
from koboshi.settings import Ingest, find_project, load_settings, load_what_fits, required
from koboshi.stack.parts import variables


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


WRONG = [
    ("[stack]\nbase_port = 80\n", "stack.base_port in koboshi.toml is 80; a number of at least 1024 is wanted."),
    ("[stack]\nbase_prot = 8000\n", "unknown setting stack.base_prot in koboshi.toml, did you mean base_port?"),
    ("[ingest]\ntopic = ['x']\n", "unknown setting ingest.topic in koboshi.toml, did you mean topics?"),
    ("[ingst]\ntopics = ['x']\n", "unknown setting ingst in koboshi.toml, did you mean ingest?"),
    ("[gateway]\nx = 1\n", "unknown setting gateway.x in koboshi.toml: there are url."),
    ("project = '/'\n", "unknown setting project in koboshi.toml: there are state_dir, ledger_url, commands, kafka,"),
    (
        "[ingest]\ntopics = 'x'\n",
        'ingest.topics in koboshi.toml is the text "x"; a list is wanted: topics = ["x"].',
    ),
    ("[ingest]\ntopics = [1]\n", "ingest.topics.0 in koboshi.toml is 1; a text is wanted."),
    ("[ingest]\nspan_records = true\n", "ingest.span_records in koboshi.toml is true; a number is wanted."),
    ("[ingest]\nspan_records = 1.5\n", "ingest.span_records in koboshi.toml is 1.5; a whole number is wanted."),
    ("[ingest]\nlease_s = nan\n", "ingest.lease_s in koboshi.toml is NaN; a number"),
    ("ingest = 3\n", "ingest in koboshi.toml is 3; a table of names and values is wanted."),
    ("[commands]\nstream = 3\n", "commands.stream in koboshi.toml is 3; a text is wanted."),
    ("state_dir = 'a\\u0000b'\n".replace("'", '"'), "state_dir in koboshi.toml is .*; a text without NUL is wanted."),
    ("state_dir = 2018-01-01\n", "state_dir in koboshi.toml is the time 2018-01-01; a text is wanted."),
    (
        f"state_dir = '{'x' * 256}'\n",
        'state_dir in koboshi.toml is the text "x+…"; a path of names of at most 255 bytes is',
    ),
    ("[stack\n", "koboshi.toml cannot be read"),
    ("a = " + "[" * 5000, "koboshi.toml cannot be read: it is nested too deeply."),
]


@pytest.mark.parametrize(("toml", "said"), WRONG)
def test_a_wrong_setting_is_one_sentence_that_names_it(project: Path, toml: str, said: str) -> None:
    (project / "koboshi.toml").write_text(toml)
    with pytest.raises(NotConfigured, match=said.replace("[", r"\[").replace("?", r"\?")):
        load_settings(project)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "KOBOSHI_INGST__SPAN_RECORDS",
            "5",
            "KOBOSHI_INGST__SPAN_RECORDS .* did you mean KOBOSHI_INGEST__SPAN_RECORDS",
        ),
        ("KOBOSHI_STATEDIR", "x", "did you mean KOBOSHI_STATE_DIR"),
        ("KOBOSHI_SOMETHING", "x", "unknown setting KOBOSHI_SOMETHING in the environment"),
        ("KOBOSHI_INGEST__TOPICS", "x", 'KOBOSHI_INGEST__TOPICS in the environment is the text "x"; a list is wanted'),
        ("KOBOSHI_INGEST__TOPICS", "x", "KOBOSHI_INGEST__TOPICS='\\[\"x\"\\]'"),
        ("KOBOSHI_INGEST__SPAN_RECORDS", "many", 'is the text "many"; a whole number is wanted'),
        ("KOBOSHI_KAFKA", '{"bootstrap": 1}', "unknown setting KOBOSHI_KAFKA in the environment, did you mean"),
        ("KOBOSHI_KAFKA", "x", 'KOBOSHI_KAFKA in the environment is the text "x"; a table'),
    ],
)
def test_a_wrong_variable_is_refused_as_a_wrong_line_is(
    project: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    """What nothing reads is not passed over: the setting that was meant would silently not be set."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(NotConfigured, match=said):
        load_settings(project)


def test_variables_take_numbers_lists_tables_and_whole_sections(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As before: text, or JSON where a list, a table or a section belongs; a name wins over its section."""
    monkeypatch.setenv("KOBOSHI_INGEST", '{"topics": ["a"], "span_records": 7}')
    monkeypatch.setenv("koboshi_ingest__span_records", "5")
    monkeypatch.setenv("KOBOSHI_COMMANDS__MORE", "a.b:app")
    settings = load_settings(project)
    assert settings.ingest == Ingest(topics=("a",), span_records=5)
    assert settings.commands == {"more": "a.b:app"}
    assert settings.kafka.bootstrap_servers == "from-toml:1"


def test_variables_of_others_are_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose's own, those that say which project is meant, and what Kubernetes makes of a service of our name."""
    for variable in {*NOT_SETTINGS, *variables()} - {"KOBOSHI_PROJECT"}:
        monkeypatch.setenv(variable, "x")
    monkeypatch.setenv("KOBOSHI_GATEWAY_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KOBOSHI_SERVICE_PORT_HTTP", "80")
    monkeypatch.setenv("KOBOSHI_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("KOBOSHI_REPLICA_PORT_80_TCP_ADDR", "10.0.0.1")
    assert load_settings(project).kafka.bootstrap_servers == "from-toml:1"


def test_all_that_is_wrong_is_said_at_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "koboshi.toml").write_text("[ingest]\ntopic = 1\nlease_s = 0\n[stack]\nbase_port = 'x'\n")
    monkeypatch.setenv("KOBOSHI_SERVING__MODLE", "x")
    with pytest.raises(NotConfigured) as raised:
        load_settings(project)
    for name in ("ingest.topic", "ingest.lease_s", "stack.base_port", "KOBOSHI_SERVING__MODLE"):
        assert name in str(raised.value)


class TestWhatFits:
    """Verbs that have to work whatever a person has written get what can be read, and a warning."""

    @pytest.mark.parametrize(("toml", "said"), WRONG)
    def test_what_is_wrong_is_left_out_and_said(self, project: Path, toml: str, said: str) -> None:
        (project / "koboshi.toml").write_text(f"{toml}\n[kafka]\nbootstrap_servers = 'b:1'\n")
        warned: list[str] = []
        settings = load_what_fits(warned.append, project=project)
        [warning] = warned
        assert re.search(said.replace("[", r"\[").replace("?", r"\?").rstrip("."), warning)
        assert (settings.stack.base_port, settings.ingest.topics) == (24_000, ())
        assert settings.kafka.bootstrap_servers == "b:1"

    def test_what_is_right_is_not_warned_of(self, project: Path) -> None:
        assert load_what_fits(pytest.fail, project=project) == load_settings(project)

    def test_a_wrong_variable_lets_the_line_count(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (project / "koboshi.toml").write_text("[ingest]\nspan_records = 7\n")
        monkeypatch.setenv("KOBOSHI_INGEST__SPAN_RECORDS", "many")
        assert load_what_fits(lambda _line: None, project=project).ingest.span_records == 7

    @pytest.mark.parametrize("toml", ["state_dir = 3", "\0\1garbage", "\xff", "state_dir = 'else"])
    def test_where_the_document_cannot_say_it_the_running_stack_tells_the_state_folder(
        self, project: Path, toml: str
    ) -> None:
        (project / "koboshi.toml").write_bytes(toml.encode("latin-1"))
        found = load_what_fits(lambda _line: None, lambda asked: asked / "recorded", project=project)
        assert found.state_dir == project / "recorded"
        assert load_what_fits(lambda _line: None, project=project).state_dir == project / ".koboshi"

    def test_a_project_whose_document_is_gone_is_found_by_its_stack(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (project / "koboshi.toml").unlink()
        (project / "below").mkdir()
        monkeypatch.chdir(project / "below")
        warned: list[str] = []
        found = load_what_fits(warned.append, lambda asked: asked / "recorded" if asked == project else None)
        assert (found.project, found.state_dir) == (project, project / "recorded")
        assert "there is no koboshi.toml in" in warned[0]
        with pytest.raises(NotConfigured, match="or above it: change to a koboshi project"):
            load_what_fits(warned.append)

    @pytest.mark.parametrize("toml", ["state_dir = 'mine'\n[ingest\n", "[ingest]\ntopic = 1\n"])
    def test_where_it_says_it_the_running_stack_is_not_asked(self, project: Path, toml: str) -> None:
        (project / "koboshi.toml").write_text(toml)
        found = load_what_fits(lambda _line: None, lambda _project: pytest.fail("asked"), project=project)
        assert found.state_dir == project / ("mine" if "mine" in toml else ".koboshi")

    @pytest.mark.parametrize("written", ["", "{", "[]", "3", '{"ray": 3}', '{"kafka": {"x": 1}}'])
    def test_what_the_stack_wrote_may_be_broken_too(self, project: Path, written: str) -> None:
        (project / ".koboshi").mkdir()
        (project / ".koboshi" / "endpoints.json").write_text(written)
        warned: list[str] = []
        assert load_what_fits(warned.append, project=project).kafka.bootstrap_servers == "from-toml:1"
        assert len(warned) == 1
        with pytest.raises(NotConfigured, match=r"endpoints\.json"):
            load_settings(project)
        load_settings(project, with_stack=False)


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
