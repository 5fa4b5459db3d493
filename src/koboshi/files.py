"""Files that appear whole or not at all, and the digests that say what is in them."""

import dataclasses
import errno
import hashlib
import os
import pwd
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from koboshi.errors import Corrupt, DiskFailed, NotConfigured

TEMPORARY_PREFIX = ".part-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_BROKEN = (errno.EIO,)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """A file that is on disk under its final name."""

    path: Path
    sha256: str
    size_bytes: int


@contextmanager
def naming_disk_failures(path: Path) -> Iterator[None]:
    """Raise `DiskFailed`, saying what to do, where the disk of `path` is full or failing; other errors pass.

    Where the system refuses to let this user write, that is `NotConfigured`: no later try heals it.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _REFUSED:
            raise refusal(_named_by(error) or path) from error
        if error.errno is None or not is_disk_failure(error):
            raise
        reason = os.strerror(error.errno)
        if error.errno in _FULL:
            raise DiskFailed(f"the disk of {path} is full ({reason}): make room, then run it again.") from error
        raise DiskFailed(f"the disk of {path} fails ({reason}): mend it (see dmesg), then run it again.") from error


def is_disk_failure(error: BaseException) -> bool:
    """Whether an error says that a disk is full or failing."""
    return isinstance(error, OSError) and error.errno in (*_FULL, *_BROKEN)


@contextmanager
def naming_refusals() -> Iterator[None]:
    """Raise `NotConfigured`, saying whose a file is, where the system refuses it to this user; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSED or (path := _named_by(error)) is None:
            raise
        raise refusal(path) from error


def refusal(path: Path) -> NotConfigured:
    """Why this user may not read or write a path: whose it is, or how its disk is mounted, and what to do."""
    there = _first_refused(path)
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return NotConfigured(
            f"{there} is on a disk that is mounted read-only: mount it writable, or set KOBOSHI_STATE_DIR to a folder "
            "on another one."
        )
    owner, me = there.stat().st_uid, os.geteuid()
    if owner == me:
        return NotConfigured(f"{there} is refused to user {user_name(me)}, its owner: see its rights with `ls -ld`.")
    return NotConfigured(
        f"{there} belongs to user {user_name(owner)}, and this is user {user_name(me)}: run this as "
        f"{user_name(owner)}, or give the project to {user_name(me)} with `chown -R`."
    )


def refused(paths: Iterable[Path]) -> NotConfigured | None:
    """The refusal of the first of some paths that this user may not write; None where all can be written."""
    return next((refusal(path) for path in paths if not _is_writable(_nearest(path))), None)


def user_name(number: int) -> str:
    """A user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _named_by(error: OSError) -> Path | None:
    return Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else None


def _first_refused(path: Path) -> Path:
    """The path itself or, where nothing is wrong with it, the folder that it is in."""
    there = _nearest(path.absolute())
    is_ours = there.stat().st_uid == os.geteuid() and _is_writable(there)
    return there.parent if is_ours and not _is_writable(there.parent) else there


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that can be looked at."""
    for there in (path, *path.parents):
        try:
            there.stat()
        except OSError:
            continue
        return there
    return Path("/")


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def publish(folder: Path, name: str | Callable[[str], str], write: Callable[[Path], object]) -> Published:
    """Let `write` fill a temporary file beside the target, then rename it to `name` (or `name(sha256)`).

    Under a crash: the final name holds the complete bytes, or what it held before. The file is fsynced before the
    rename and the folder after it, so that the name survives a power loss. What a crash leaves behind is a file with
    `TEMPORARY_PREFIX`, of a name nobody else uses; an exception removes it. Raises `DiskFailed`; the file may be there
    under its final name even then.
    """
    temporary = folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    with naming_disk_failures(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            _fsync(temporary)
            sha256, size = sha256_of(temporary), temporary.stat().st_size
            target = folder / (name if isinstance(name, str) else name(sha256))
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _fsync(folder)
    return Published(target, sha256, size)


def publish_bytes(path: Path, data: bytes) -> Published:
    """`publish` for bytes in memory."""
    return publish(path.parent, path.name, lambda temporary: temporary.write_bytes(data))


def publish_changed(path: Path, data: bytes) -> None:
    """`publish_bytes`, unless the file has these bytes already: then its time stays, too, and nobody reads it anew."""
    if not (path.is_file() and path.read_bytes() == data):
        publish_bytes(path, data)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing where there is none."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def publish_private(path: Path, text: str) -> Published:
    """`publish` for a text that its owner alone may read, from the beginning: it holds a secret, or may."""

    def write(temporary: Path) -> None:
        temporary.touch(mode=0o600)
        temporary.write_text(text)

    return publish(path.parent, path.name, write)


def tree_digest(folder: Path, *, without: frozenset[str] = frozenset()) -> str:
    """The SHA-256 over the sorted relative paths and digests of a folder's files, but those named in `without`."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name not in without)
    listing = "".join(f"{sha256_of(folder / name)}  {name}\n" for name in names)
    return hashlib.sha256(listing.encode()).hexdigest()


def verify(path: Path, sha256: str, what: str, repair: str) -> None:
    """Raise `Corrupt`, naming the file and the repair, unless its bytes have the recorded digest."""
    found = sha256_of(path) if path.is_file() else "missing"
    if found != sha256:
        raise Corrupt(f"{what} {path} is {found[:12]}, but {sha256[:12]} was recorded: {repair}.")


def verified_bytes(path: Path, sha256: str, what: str, repair: str) -> bytes:
    """The bytes of a file, read once and checked before they are handed out."""
    return checked(path.read_bytes() if path.is_file() else None, sha256, f"{what} {path}", repair)


def checked(data: bytes | None, sha256: str, what: str, repair: str) -> bytes:
    """Bytes that were read (None: there are none), if they have the recorded digest; raises `Corrupt` otherwise."""
    found = "missing" if data is None else hashlib.sha256(data).hexdigest()
    if data is None or found != sha256:
        raise Corrupt(f"{what} is {found[:12]}, but {sha256[:12]} was recorded: {repair}.")
    return data


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


IGNORE_FILE = ".gitignore"
_IGNORE_TEXT = "# Made by koboshi: nothing of this folder belongs into a repository.\n*\n"
_OF_KOBOSHI = ("ledger.db", "stack", "spans", "endpoints.json")
_OF_A_PROJECT = ("koboshi.toml", ".git")


def make_state_folder(state_dir: Path) -> None:
    """Make the state folder, if it is not there, and let git ignore it. Raises `OSError` where it cannot be made."""
    is_new = not state_dir.exists()
    state_dir.mkdir(parents=True, exist_ok=True)
    if is_new or not any(state_dir.iterdir()):
        _write_ignore_file(state_dir)
    else:
        ignore_state_folder(state_dir)


def ignore_state_folder(state_dir: Path) -> None:
    """Let git ignore a state folder that is there already, from before this was done or made by something else.

    A folder that is the project itself, or has nothing of koboshi's, is left alone. So is one that this user may not
    write: what is in it was put there by another, and this user can add nothing.
    """
    try:
        is_ours = any((state_dir / name).exists() for name in _OF_KOBOSHI)
        if is_ours and not any((state_dir / name).exists() for name in _OF_A_PROJECT):
            _write_ignore_file(state_dir)
    except OSError:
        return


def _write_ignore_file(state_dir: Path) -> None:
    """What a person has written there stays. A crash in between leaves an empty file, which ignores nothing."""
    file = state_dir / IGNORE_FILE
    if not file.exists() or file.stat().st_size == 0:
        file.write_text(_IGNORE_TEXT)
