"""The state folder keeps itself out of git: `git add -A` would take secrets, tokens and the ledger of a project."""

from pathlib import Path

IGNORE = ".gitignore"
_TEXT = "# Made by koboshi: nothing of this folder belongs into a repository.\n*\n"
_OURS = ("ledger.db", "stack", "spans", "endpoints.json")
_NOT_OURS = ("koboshi.toml", ".git")


def make(state_dir: Path) -> None:
    """Make the state folder, if it is not there, and let git ignore it. Raises `OSError` where it cannot be made."""
    is_new = not state_dir.exists()
    state_dir.mkdir(parents=True, exist_ok=True)
    if is_new or not any(state_dir.iterdir()):
        _write(state_dir)
    else:
        ignore(state_dir)


def ignore(state_dir: Path) -> None:
    """Let git ignore a state folder that is there already, from before this was done or made by something else.

    A folder that is the project itself, or has nothing of koboshi's, is left alone. So is one that this user may not
    write: what is in it was put there by another, and this user can add nothing.
    """
    try:
        is_ours = any((state_dir / name).exists() for name in _OURS)
        if is_ours and not any((state_dir / name).exists() for name in _NOT_OURS):
            _write(state_dir)
    except OSError:
        return


def _write(state_dir: Path) -> None:
    """What a person has written there stays. A crash in between leaves an empty file, which ignores nothing."""
    file = state_dir / IGNORE
    if not file.exists() or file.stat().st_size == 0:
        file.write_text(_TEXT)
