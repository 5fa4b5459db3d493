"""`koboshi restore`: unpack beside, verify everything, then move into place."""

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from koboshi.backup import making
from koboshi.backup.pyarrow_archive import read_header, unpack
from koboshi.datasets import dvc_cache
from koboshi.errors import BadInput, Conflict, NotConfigured, Permanent
from koboshi.events import BytesCopied, CommitDiffers, DatasetsCheckedOut, RestoreBegan, RestoreResumed, Sink
from koboshi.files import TEMPORARY_PREFIX, naming_disk_failures, publish_bytes
from koboshi.ledger import Ledger, database
from koboshi.settings import Settings
from koboshi.stack.lifecycle import exclusively
from koboshi.stack.paths import StackPaths, find_paths, make_own
from koboshi.stack.process_table import find_leftovers

VERIFIED = "verified"


def restore(settings: Settings, file: Path, emit: Sink) -> None:
    """Put everything that a backup holds into a project that has nothing of it yet.

    Commit: the mark that everything was unpacked and verified. Before it nothing of the project has changed, and the
    next restore starts anew; after it the next one finishes, whatever file it is given. What can be refused is refused
    before: a damaged or newer backup, a place that is not empty, too little room, a stack that is up.
    """
    with naming_disk_failures(settings.state_dir):
        paths = find_paths(settings.project, settings.state_dir)
        make_own(paths)
        with exclusively(paths):
            _restore(settings, file, paths, emit)


def _restore(settings: Settings, file: Path, paths: StackPaths, emit: Sink) -> None:
    if find_leftovers(paths):
        raise Conflict("the stack is up: run `koboshi down`, and restore into a project that has nothing yet.")
    shutil.rmtree(_done(paths.restoring), ignore_errors=True)
    if (paths.restoring / VERIFIED).exists():
        emit(RestoreResumed())
    else:
        _stage(settings, file, paths.restoring, emit)
    _put_in_place(settings, paths.restoring, emit)


def _stage(settings: Settings, file: Path, staging: Path, emit: Sink) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    header = read_header(file)
    ours = making.pieces(settings)
    if homeless := set(header["pieces"]) - {piece.name for piece in ours}:
        raise NotConfigured(
            f"the backup holds {min(homeless)}, and this project has no place for it: look at ledger_url and .dvc."
        )
    _refuse_occupied(piece for piece in ours if piece.name in header["pieces"])
    for folder in (settings.state_dir, settings.project):
        making.check_room(folder, header["bytes"] + header["cache_bytes"], "make room")
    made_at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(header["made_at"]))
    emit(RestoreBegan(size_mb=header["bytes"] / 1e6, made_at=made_at))
    known = (*ours, making.Piece(making.PROJECT, settings.project))
    try:
        unpack(
            file,
            staging,
            lambda name: any(piece.holds(name) for piece in known),
            lambda count: emit(BytesCopied(count=count)),
        )
        _check_project(settings.project, staging / making.PROJECT)
        _fence(staging / making.LEDGER)
        os.sync()
        publish_bytes(staging / VERIFIED, b"")
    except BaseException:
        (staging / VERIFIED).unlink(missing_ok=True)  # first: what is half removed must not pass for whole
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _tell_commits(settings.project, header, emit)


def _refuse_occupied(chosen: Iterator[making.Piece]) -> None:
    for piece in chosen:
        if not _is_vacant(piece):
            raise Conflict(f"{piece.path} is not empty: restore into a new clone, or move it away first.")


def _is_vacant(piece: making.Piece) -> bool:
    """Whether nothing would be lost. Starting a stack leaves empty folders, looking at a ledger an empty ledger."""
    if piece.name == making.LEDGER and piece.path.is_file():
        with closing(Ledger(f"sqlite:///{piece.path}")) as ledger:
            return database.is_empty(ledger)
    if piece.path.is_dir():
        return not any(path.is_file() for path in piece.path.rglob("*"))
    return not piece.path.exists()


def _check_project(project: Path, staged: Path) -> None:
    """Files of the project are replaced only where git has them as they are; data that is there is left alone."""
    names = [path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file()]
    if strange := sorted(set(names).difference(making.carried_names(project))):
        raise BadInput(f"the backup holds {strange[0]}, which is no output of the project: it is not restored.")
    for name in names:
        here, there = project / name, staged / name
        if here.exists() and here.read_bytes() != there.read_bytes() and making.changed_files(project, [name]) != []:
            raise Conflict(f"{here} differs from the backup's and is in no commit: commit it or move it away.")
    for output in dvc_cache.outputs(staged):
        path = _at(project, staged, output.path)
        if path.exists() and path.relative_to(project).as_posix() not in names:
            raise Conflict(f"{path} is there already: restore into a new clone, or move it away first.")


def _at(project: Path, staged: Path, path: Path) -> Path:
    return project / path.relative_to(staged)


def _fence(ledger: Path) -> None:
    """Bring the ledger up to date (a newer one is refused), and let nobody commit who acquired a lease before."""
    if ledger.exists():
        with closing(Ledger(f"sqlite:///{ledger}")) as restored:
            database.fence_all(restored)


def _tell_commits(project: Path, header: Mapping[str, Any], emit: Sink) -> None:
    made, here = header["commit"], making.commit_of(project)
    if made and here and made != here:
        emit(CommitDiffers(made=made, here=here))


def _put_in_place(settings: Settings, staging: Path, emit: Sink) -> None:
    """Safe to run again: what was moved is no longer in `staging`."""
    for path in sorted((staging / making.PROJECT).rglob("*")):
        if path.is_file():
            publish_bytes(_at(settings.project, staging / making.PROJECT, path), path.read_bytes())
    for piece in making.pieces(settings):
        if (staging / piece.name).exists():
            _move(staging / piece.name, piece)
    _check_out(settings.project, staging / making.PROJECT, emit)
    shutil.rmtree(staging.rename(_done(staging)))


def _done(staging: Path) -> Path:
    """What is under this name is of no use any more: with the renaming the restore is over."""
    return staging.with_name(f"{TEMPORARY_PREFIX}restored")


def _move(staged: Path, piece: making.Piece) -> None:
    if not _is_vacant(piece):
        raise Conflict(f"{piece.path} came in the way of the restore: move it away, then run `koboshi restore` again.")
    if piece.path.is_dir():
        shutil.rmtree(piece.path)
    for suffix in ("", "-wal", "-shm") if piece.is_database else ():
        piece.path.with_name(piece.path.name + suffix).unlink(missing_ok=True)
    piece.path.parent.mkdir(parents=True, exist_ok=True)
    try:
        staged.rename(piece.path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_to_another_disk(staged, piece.path)


def _move_to_another_disk(staged: Path, target: Path) -> None:
    near = target.with_name(f"{TEMPORARY_PREFIX}{target.name}")
    shutil.rmtree(near, ignore_errors=True)
    shutil.copytree(staged, near) if staged.is_dir() else shutil.copy2(staged, near)
    os.sync()
    near.rename(target)
    shutil.rmtree(staged) if staged.is_dir() else staged.unlink()


def _check_out(project: Path, staged: Path, emit: Sink) -> None:
    """The datasets that the restored lock names, if the cache has them: the lock may come from git, never made there.

    What is in their place is of a restore that was interrupted.
    """
    cached = [out for out in dvc_cache.outputs(staged) if not out.path.exists() and making.is_cached(project, out)]
    if not cached:
        return
    names = [out.path.relative_to(staged).as_posix() for out in cached]
    emit(DatasetsCheckedOut(names=", ".join(names)))
    words = [sys.executable, "-m", "dvc", "checkout", "--force", *names]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise Permanent(f"all is restored but the datasets ({said[-1]}): run `dvc checkout`, or `dvc repro`.")
