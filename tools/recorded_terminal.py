"""A shell in a pseudo-terminal of its own, and what stands on its screen."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

import pyte

from tools.terminal_svg import Row, Run

SHELL = ("bash", "--norc", "--noprofile", "-i")
KEY_S = 0.03  # between two typed characters


class Terminal:
    """A real shell; `look` reads what it has written, `rows` are what a person would see."""

    def __init__(self, columns: int, lines: int, folder: Path, variables: Mapping[str, str]) -> None:
        """Start the shell, with `$ ` as its prompt."""
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        environment = {**os.environ, **variables, "PS1": "$ ", "TERM": "xterm-256color", "HISTFILE": ""}
        self._pid, self._end = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execvpe(SHELL[0], SHELL, environment)  # noqa: S606
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def look(self) -> None:
        """Take up all that was written until now."""
        while select.select([self._end], [], [], 0)[0]:
            try:
                written = os.read(self._end, 65_536)
            except OSError:  # the shell has ended
                return
            if not written:
                return
            self._stream.feed(written)

    def type(self, words: str, watch: Callable[[], None]) -> None:
        """Type a command as a person does, and start it; `watch` is called after each key."""
        for key in f"{words}\r":
            os.write(self._end, key.encode())
            time.sleep(KEY_S)
            watch()

    @property
    def text(self) -> str:
        """The screen without styles."""
        return "\n".join(self._screen.display)

    def awaits_a_command(self) -> bool:
        """Whether the last line that is not empty is the prompt alone, after a look."""
        self.look()
        lines = [line.rstrip() for line in self._screen.display if line.strip()]
        return bool(lines) and lines[-1] == "$"

    def rows(self) -> tuple[Row, ...]:
        """The screen's rows, styled."""
        return tuple(self._row(line) for line in range(self._screen.lines))

    def close(self) -> None:
        """End the shell and what runs in it."""
        os.kill(self._pid, signal.SIGHUP)
        os.close(self._end)
        os.waitpid(self._pid, 0)

    def _row(self, line: int) -> Row:
        cells = [self._screen.buffer[line][column] for column in range(self._screen.columns)]
        styled = groupby(cells, key=lambda cell: (cell.fg, cell.bold))
        runs = [Run("".join(cell.data for cell in same), _colour(fg), bold) for (fg, bold), same in styled]
        return tuple(runs) if any(run.text.strip() for run in runs) else ()


def _colour(name: str) -> str:
    """Pyte's names, or six digits of a colour."""
    is_hex = len(name) == 6 and all(digit in "0123456789abcdef" for digit in name.lower())
    return f"#{name}" if is_hex else name.removeprefix("bright")
