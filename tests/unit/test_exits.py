import errno
import io
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from koboshi.errors import BadInput, KoboshiError, Permanent, Transient, Unavailable
from koboshi.exits import CODES, EXIT_FILE_VARIABLE, TRACES, error_of, run_and_exit


def raising(error: BaseException) -> Callable[[], None]:
    def verb() -> None:
        raise error

    return verb


def caused(error: BaseException, by: BaseException) -> BaseException:
    """An error that was raised while another one was handled."""
    error.__context__ = by
    return error


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a state folder, and an environment that is put back afterwards."""
    for name in ("no_proxy", "NO_PROXY", EXIT_FILE_VARIABLE, "KOBOSHI_PROJECT", "KOBOSHI_STATE_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    (tmp_path / ".koboshi").mkdir()
    monkeypatch.chdir(tmp_path)


def code_of(verb: Callable[[], object]) -> int:
    with pytest.raises(SystemExit) as exited:
        run_and_exit(verb, "verb")
    assert isinstance(exited.value.code, int)
    return exited.value.code


@pytest.mark.parametrize(
    ("verb", "code", "said"),
    [
        (lambda: None, 0, ""),
        (raising(BadInput("no such column")), 65, "verb: no such column\n"),
        (raising(Unavailable("Kafka is away")), 75, "verb: Kafka is away\n"),
        (raising(KoboshiError("a word of nobody's")), 65, "verb: a word of nobody's\n"),
        (raising(KeyboardInterrupt()), 130, ""),
        (raising(SystemExit()), 0, ""),
        (raising(SystemExit(2)), 2, ""),
        (raising(SystemExit(143)), 143, ""),
        (raising(SystemExit(signal.SIGTERM)), 143, ""),
        (raising(SystemExit(1)), 65, ""),
        (raising(SystemExit("a library gives up")), 65, "verb: a library gives up\n"),
        (raising(caused(SystemExit(1), by=BrokenPipeError())), 75, ""),
    ],
)
def test_an_end_is_one_sentence_and_its_code_is_left_in_the_exit_file(
    verb: Callable[[], None],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The code reaches who started `dvc repro`, which itself ends with 255 whatever happened."""
    monkeypatch.setenv(EXIT_FILE_VARIABLE, str(tmp_path / "exit"))
    assert code_of(verb) == code
    assert (tmp_path / "exit").read_text() == str(code)
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("error", "code", "then"),
    [
        (ZeroDivisionError("division by zero"), 65, "This was not foreseen"),
        (KeyError("amount"), 65, "This was not foreseen"),
        (PermissionError(errno.EACCES, "denied"), 65, "This was not foreseen"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), 75, "Try again"),
        (TimeoutError("too long"), 75, "Try again"),
        (OSError(errno.ENOSPC, "no space left"), 75, "Try again"),
    ],
)
def test_an_unforeseen_error_is_one_sentence_and_its_trace_is_kept(
    error: BaseException, code: int, then: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A retry is asked for only where the system itself says that a connection, a time limit or a disk is the cause."""
    assert code_of(raising(error)) == code
    log = tmp_path / ".koboshi" / "logs" / TRACES
    assert capsys.readouterr().err == f"verb: {type(error).__name__}: {error}. {then}: the whole trace is in {log}.\n"
    assert "Traceback (most recent call last)" in log.read_text()
    assert "raise error" in log.read_text()


def test_without_a_state_folder_the_trace_is_kept_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder is left empty."""
    (tmp_path / ".koboshi").rmdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    assert code_of(raising(ZeroDivisionError())) == 65
    [kept] = (tmp_path / "temporary").iterdir()
    assert str(kept) in capsys.readouterr().err
    assert "ZeroDivisionError" in kept.read_text()
    assert list(tmp_path.iterdir()) == [tmp_path / "temporary"]


def test_where_no_file_takes_the_trace_it_is_written_to_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is lost."""
    (tmp_path / ".koboshi" / "logs").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert code_of(raising(ZeroDivisionError())) == 65
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.endswith("the whole trace is in the lines above.\n")


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_verb_without_output_ends_as_with_one(stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has no `sys.stdout` where the shell said `>&-`."""
    monkeypatch.setattr(sys, "stdout", stream)
    assert code_of(lambda: None) == 0


def test_output_that_nobody_reads_ends_the_verb_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in `koboshi logs kafka | head -1`: 75, since what the verb was about may not be done."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        assert code_of(lambda: print("x", flush=True)) == 75  # noqa: T201
    assert capsys.readouterr().err == ""


def test_sigterm_unwinds_the_verb_and_its_handler_is_gone_afterwards() -> None:
    """143, and what the verb holds is given back."""
    before, freed = signal.getsignal(signal.SIGTERM), list[str]()

    def verb() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            freed.append("the lease")

    assert code_of(verb) == 143
    assert freed == ["the lease"]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("code", range(1, 256))
def test_what_fails_again_is_permanent_and_all_else_may_pass(code: int) -> None:
    """65 and wrong words; a signal or a kill is worth another try."""
    assert error_of(code) is (Permanent if code in (2, 65) else Transient)
    assert {0, 2, 65, 75, 130, 143} == CODES


def test_from_then_on_nothing_asks_this_machine_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verb, and every process that it starts."""
    monkeypatch.setenv("NO_PROXY", "corp.example")
    assert code_of(lambda: None) == 0
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "corp.example,127.0.0.1,localhost,::1"
