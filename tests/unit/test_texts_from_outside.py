"""What a person or a stranger has written: whatever its bytes are, a reader refuses it in one sentence or takes it."""

import json
from pathlib import Path

import pytest

from koboshi.datasets.params import Params, load_params
from koboshi.documents import load_json, load_mapping
from koboshi.drills.report import read as read_report
from koboshi.errors import KoboshiError
from koboshi.formats import cut, manifest
from koboshi.heartbeat.beat import Beat
from koboshi.training.driver.status import RunStatus
from koboshi.training.spec import read_specification

DEEP = 100_000
HARMS = {
    "nested": b"[" * DEEP,
    "nested objects": b'{"a":' * DEEP,
    "nested in order": b'{"format": 1, "files": ' + b"[" * 900 + b"]" * 900 + b"}",
    "not UTF-8": b"\xff\xfe\x00{",
    "a lone surrogate": b'{"secret": "\\ud800", "format": "\\ud800"}',
    "a huge number": b'{"format": ' + b"9" * 5_000 + b"}",
    "no number": b'{"format": NaN, "v": Infinity}',
    "a list": b"[1, 2]",
    "a word": b"word",
    "nothing": b"",
    "a day of no calendar": b"day: 2018-13-45\n",
    "a key that cannot be one": b"? [a]\n: 1\n",
    "a byte that no text has": b"a\x00b: 1\n",
}
YAML_HARMS = HARMS.keys() - {"a lone surrogate", "a huge number", "no number", "nested in order", "nothing"}


@pytest.fixture(params=HARMS)
def harmed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "harmed"
    path.write_bytes(HARMS[request.param])
    return path


def one_sentence(error: pytest.ExceptionInfo[KoboshiError]) -> bool:
    return error.value.exit_code == 65 and "\n" not in str(error.value) and str(error.value).endswith(".")


def test_what_is_no_json_is_a_value_error() -> None:
    for text in (b"[" * DEEP, "[" * DEEP, b"\xff", "9" * 5_000, "{"):
        with pytest.raises(ValueError, match=r".+"):
            load_json(text)
    assert load_json(b'{"a": [1]}') == {"a": [1]}


def test_documents_are_refused_in_one_sentence(harmed: Path) -> None:
    for read in (cut.read, read_report, read_specification, lambda path: RunStatus.from_json(path.read_bytes())):
        with pytest.raises(KoboshiError) as refused:
            read(harmed)
        assert one_sentence(refused), refused.value


def test_a_manifest_is_refused_in_one_sentence(harmed: Path) -> None:
    harmed.rename(harmed.with_name(manifest.FILE))
    with pytest.raises(KoboshiError) as refused:
        manifest.open_verified(harmed.parent)
    assert one_sentence(refused)


def test_a_datagram_of_a_stranger_is_no_beat(harmed: Path) -> None:
    """Anybody on the machine can send one: it may not end the run that listens."""
    assert Beat.from_bytes(harmed.read_bytes(), "secret") is None
    for given in ("[" * 900 + "]" * 900, "null", "7", '"other"'):
        assert Beat.from_bytes(b'{"secret": %s, "v": 1}' % given.encode(), "secret") is None


@pytest.mark.parametrize("harm", sorted(YAML_HARMS))
def test_yaml_that_cannot_be_taken_is_refused_in_one_sentence(tmp_path: Path, harm: str) -> None:
    """Also a date that is in no calendar, which YAML's own errors leave out."""
    path = tmp_path / "params.yaml"
    path.write_bytes(HARMS[harm][:4_000])
    for read in (load_mapping, lambda _path: load_params(tmp_path, "train", Params)):
        with pytest.raises(KoboshiError) as refused:
            read(path)
        assert one_sentence(refused), refused.value
        assert str(path) in str(refused.value)


def test_an_absent_or_empty_yaml_file_has_no_keys(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_mapping(tmp_path / "empty.yaml") == load_mapping(tmp_path / "none.yaml") == {}


def test_json_values_are_yaml_as_well(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {}}))
    assert load_mapping(tmp_path / "dvc.yaml") == {"stages": {}}
