"""The folder of one run of a drill: made up before it begins, gone when it ends, kept when it is to be looked at."""

import shutil
import uuid
from pathlib import Path

from koboshi.drills.drill import Say
from koboshi.settings import Settings


def new_run_folder(settings: Settings) -> Path:
    """A folder that nobody has used, nor will: its name can tell everything else of the run apart. Not made yet."""
    return settings.state_dir / "drills" / "runs" / uuid.uuid4().hex[:12]


def leave(folder: Path, *, keep_files: bool, say: Say) -> None:
    """Remove the folder, or say where it is."""
    if keep_files:
        say(f"the files of the refuted run are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
