"""How a command ends: one sentence on stderr, and an exit code that a caller can act on.

    0    done
    2    the words of the command do not fit
    65   the same call fails again: stop, and a person looks
    75   the same call may succeed later: try again
    130  interrupted (Ctrl-C)
    143  ended by SIGTERM, after clearing up

Nothing else, and never a stack trace. What nobody foresaw is 65: its trace stands in a file that the sentence names.
"""

import os
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

from koboshi import proxies
from koboshi.errors import KoboshiError, Permanent, Transient
from koboshi.files import is_disk_failure, naming_refusals

EXIT_FILE_VARIABLE = "KOBOSHI_EXIT_FILE"
USAGE, INTERRUPTED, ENDED = 2, 128 + signal.SIGINT, 128 + signal.SIGTERM
STOP, AGAIN = Permanent.exit_code, Transient.exit_code
CODES = frozenset({0, USAGE, STOP, AGAIN, INTERRUPTED, ENDED})
TRACES = "unforeseen.log"


def run_and_exit(verb: Callable[[], object], name: str) -> NoReturn:
    """Run a verb and end the process with one of `CODES`.

    `dvc repro` ends with 255 whatever its stage ended with, so the code is also left in the file that the environment
    variable `KOBOSHI_EXIT_FILE` names; who started DVC reads it there. SIGTERM unwinds the verb as Ctrl-C does, so that
    what it holds is given back; a second one ends the process at once. From here on neither this process nor its
    children ask this machine's own addresses through a proxy.
    """
    os.environ.update(proxies.direct(os.environ))
    with on_sigterm(_end):
        code = _ended(verb, name)
    if exit_file := os.environ.get(EXIT_FILE_VARIABLE):
        with suppress(OSError):  # who reads it takes a command without a code for killed, and tries again
            Path(exit_file).write_text(str(code))
    sys.exit(code)


def error_of(code: int) -> type[KoboshiError]:
    """What a command's exit code, other than 0, means for who started it.

    65 and 2 come again. All else may pass: 75, a signal (130, 143), a kill (137), and codes that are not of ours.
    """
    return Permanent if code in (STOP, USAGE) else Transient


def exit_code(error: BaseException) -> int:
    """The code that an exception ends a command with."""
    if isinstance(error, KoboshiError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, SystemExit):
        return _of_exit(error)
    # Who was spoken to is gone, or a disk is full: of the system's errors another try may heal these few.
    may_pass = isinstance(error, ConnectionError | TimeoutError) or is_disk_failure(error)
    return AGAIN if may_pass else STOP


def _of_exit(error: SystemExit) -> int:
    """Ours are handed on; others, such as the 1 of a library that gave up, become one of ours."""
    if error.code is None or (isinstance(error.code, int) and error.code in CODES):
        return error.code or 0
    if error.code == signal.SIGTERM:  # so ends a driver of Ray's, which has a handler of its own
        return ENDED
    return AGAIN if isinstance(error.__context__, BrokenPipeError) else STOP


def _ended(verb: Callable[[], object], name: str) -> int:
    """The exit code, after the sentence that belongs to it."""
    try:
        with naming_refusals():
            verb()
        if sys.stdout is not None:
            sys.stdout.flush()  # what cannot be written is an error now, and not at the interpreter's end
    except BaseException as error:  # noqa: BLE001 (each is named, and ends the process)
        if _is_unread() and exit_code(error) == AGAIN:
            # The interpreter flushes what is left of the output at its end, and must not fail there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        elif said := _sentence(error, name):
            _say(f"{name}: {said}\n")
        return exit_code(error)
    return 0


def _sentence(error: BaseException, name: str) -> str:
    """What is said of an end; nothing where it speaks for itself, or was said already."""
    if isinstance(error, KoboshiError):
        return str(error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, str) else ""
    if isinstance(error, KeyboardInterrupt):
        return ""
    then = "Try again" if exit_code(error) == AGAIN else "This was not foreseen"
    return f"{_named(error)}. {then}: the whole trace is in {_keep_trace(error, name)}."


def _named(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__


def _is_unread() -> bool:
    """Whether our output goes into a pipe that nobody reads any more, as in `koboshi logs kafka | head -1`."""
    try:
        pipe = select.poll()
        pipe.register(sys.stdout.fileno(), 0)
        return any(found & select.POLLERR for _, found in pipe.poll(0))
    except (AttributeError, OSError, ValueError):  # there is no output, or it is no file
        return False


def _say(text: str) -> None:
    """On stderr; the exit code tells where nobody reads that either."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _keep_trace(error: BaseException, name: str) -> str:
    """Append the trace to the first file that takes it; on stderr where none does, so that it is not lost."""
    trace = "".join(traceback.format_exception(error))
    entry = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {name} {sys.argv[1:]} (process {os.getpid()})\n{trace}\n"
    for open_file in (_open_log, _open_temporary):
        with suppress(OSError), open_file() as file:
            file.write(entry)
            return str(file.name)
    _say(entry)
    return "the lines above"


def _open_log() -> TextIO:
    """Among the logs of the nearest state folder. It is found without koboshi.toml, which may be what is broken."""
    here = Path(os.environ.get("KOBOSHI_PROJECT", ".")).absolute()
    for project in (here, *here.parents):
        if (state_dir := project / os.environ.get("KOBOSHI_STATE_DIR", ".koboshi")).is_dir():
            (state_dir / "logs").mkdir(exist_ok=True)
            return (state_dir / "logs" / TRACES).open("a")
    raise FileNotFoundError("there is no state folder yet")


def _open_temporary() -> TextIO:
    descriptor, path = tempfile.mkstemp(prefix="koboshi-", suffix=f"-{TRACES}")
    os.close(descriptor)
    return Path(path).open("a")


@contextmanager
def on_sigterm(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let `handle` take SIGTERM while the block runs; in another thread than the first, which gets none, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(ENDED)
