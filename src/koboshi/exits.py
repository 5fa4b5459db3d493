"""How a command ends: one sentence on stderr and an exit code, never a stack trace for what was foreseen."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from koboshi.errors import KoboshiError

EXIT_FILE_VARIABLE = "KOBOSHI_EXIT_FILE"


def run_and_exit(verb: Callable[[], None], name: str) -> NoReturn:
    """Run a verb and end the process: 0, or the error's exit code (65 stop, 75 try again), or 130 on Ctrl-C.

    `dvc repro` ends with 255 whatever its stage ended with, so the code is also left in the file that the environment
    variable `KOBOSHI_EXIT_FILE` names; who started DVC reads it there.
    """
    code = 0
    try:
        verb()
    except KoboshiError as error:
        sys.stderr.write(f"{name}: {error}\n")
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    if exit_file := os.environ.get(EXIT_FILE_VARIABLE):
        Path(exit_file).write_text(str(code))
    sys.exit(code)
