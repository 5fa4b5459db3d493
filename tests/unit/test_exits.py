from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.errors import BadInput, KoboshiError, Unavailable
from koboshi.exits import EXIT_FILE_VARIABLE, run_and_exit


def raising(error: BaseException) -> Callable[[], None]:
    def verb() -> None:
        raise error

    return verb


@pytest.mark.parametrize(
    ("verb", "code", "said"),
    [
        (lambda: None, 0, ""),
        (raising(BadInput("no such column")), 65, "verb: no such column\n"),
        (raising(Unavailable("Kafka is away")), 75, "verb: Kafka is away\n"),
        (raising(KoboshiError("unforeseen")), 70, "verb: unforeseen\n"),
        (raising(KeyboardInterrupt()), 130, ""),
    ],
)
def test_an_error_is_one_sentence_and_its_code_is_left_in_the_exit_file(
    verb: Callable[[], None],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The code reaches who started `dvc repro`, which itself ends with 255 whatever happened."""
    monkeypatch.setenv(EXIT_FILE_VARIABLE, str(tmp_path / "exit"))
    with pytest.raises(SystemExit) as exited:
        run_and_exit(verb, "verb")
    assert exited.value.code == code
    assert (tmp_path / "exit").read_text() == str(code)
    assert capsys.readouterr().err == said


def test_an_unforeseen_error_keeps_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is not dressed up as a sentence."""
    monkeypatch.delenv(EXIT_FILE_VARIABLE, raising=False)
    with pytest.raises(ZeroDivisionError):
        run_and_exit(raising(ZeroDivisionError()), "verb")
