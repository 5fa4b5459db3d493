"""One stage of dvc.yaml in one workspace, by one process at a time."""

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from koboshi.exits import EXIT_FILE_VARIABLE
from koboshi.ingest.stray_files import open_ledger
from koboshi.ledger.leases import holding
from koboshi.orchestration import commands
from koboshi.orchestration.workspaces import Workspace

_LEASE_S = 30.0


def run_stage(
    stage: str,
    workspace: Workspace,
    *,
    state_dir: Path,
    ledger_url: str,
    topics: Sequence[str],
    holder: str,
    on_line: Callable[[str], None],
) -> None:
    """Let DVC reproduce one stage, if anything that it depends on has changed; hand on its output line by line.

    Key: the workspace, as a ledger lease: `holder` is the same for each try of one task, so that a later try takes the
    place of an earlier one, which ends; anybody else gets `LeaseTaken`. The commit is DVC's: dvc.lock, after the stage.
    Under a crash (of the task, of DVC, of the stage) nothing is left running but what the next call here ends first.
    Raises `Permanent` where the stage ended with 65, `Transient` for whatever may pass: 75, a kill, a lock of DVC.
    """
    ledger = open_ledger(ledger_url, state_dir, topics)
    with closing(ledger), holding(ledger, f"workspace {workspace.folder}", holder, _LEASE_S) as held:
        ended = commands.run(
            (sys.executable, "-m", "koboshi.orchestration.dvc_stage", stage),
            cwd=workspace.folder,
            env={**workspace.environment(state_dir), EXIT_FILE_VARIABLE: str(_fresh_exit_file(workspace, state_dir))},
            on_line=on_line,
            on_beat=held.keep,
        )
        commands.raise_for(ended, f"stage {stage}")


def _fresh_exit_file(workspace: Workspace, state_dir: Path) -> Path:
    """Where the stage leaves its exit code: the mark, too, by which leftovers of earlier runs are found and ended."""
    folder = state_dir / "stages" / workspace.name
    folder.mkdir(parents=True, exist_ok=True)
    commands.end_tagged(EXIT_FILE_VARIABLE, folder)
    file = folder / "exit"
    file.unlink(missing_ok=True)
    return file
