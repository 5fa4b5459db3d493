"""One file that holds many: a tar archive, compressed, with the SHA-256 of each file in a manifest that comes last.

backup.json      the first entry: format, what is in it, how large it is unpacked
state/…  dvc-cache/…  project/…
manifest.json    the last entry: the digests of all entries before it
"""

import dataclasses
import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from koboshi.documents import load_json
from koboshi.errors import BadInput, Corrupt, Unavailable
from koboshi.files import naming_disk_failures, sha256_of
from koboshi.names import parts_below

FORMAT_VERSION = 1
HEADER, MANIFEST = "backup.json", "manifest.json"
CHUNK = 1 << 20
_SEAL = b"\x50\x2a\x4d\x18" + (32).to_bytes(4, "little")  # a skippable frame of 32 bytes (RFC 8878, 3.1.2)

Advance = Callable[[int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A file to be archived: its name there, where it is, and how large it was when it was looked at."""

    name: str
    path: Path
    size: int


def write_archive(path: Path, header: Mapping[str, Any], entries: Iterable[Entry], advance: Advance) -> dict[str, str]:
    """Write an archive; returns the SHA-256 of each entry by name. A file that is gone meanwhile is left out."""
    with open_writing(path) as stream, tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        digests = {HEADER: _add_bytes(tar, HEADER, _json({"format": FORMAT_VERSION, **header}))}
        for entry in entries:
            try:
                with entry.path.open("rb") as file:
                    digests[entry.name] = _add(tar, entry.name, file, entry.path, advance)
            except FileNotFoundError:
                continue
            except EOFError as error:
                raise Unavailable(f"{entry.path} was cut while it was copied: try again.") from error
        _add_bytes(tar, MANIFEST, _json({"files": digests}))
    with path.open("ab") as file:
        file.write(_SEAL + bytes.fromhex(sha256_of(path)))
    return digests


def read_header(path: Path) -> dict[str, Any]:
    """What an archive says of itself. Raises `Corrupt` for what is no backup, `BadInput` for a newer format."""
    if not path.is_file():
        raise BadInput(f"there is no file {path}: name a file that `koboshi backup` has written.")
    _check_seal(path)
    first, chunks = next(_members(path), (None, iter(())))
    if first is None or first.name != HEADER:
        raise _damaged(path, f"it does not begin with {HEADER}")
    header = _parsed(path, HEADER, chunks)
    if header.get("format", 0) > FORMAT_VERSION:
        raise BadInput(f"{path} has format {header['format']}, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.")
    return header


def unpack(path: Path, folder: Path, admits: Callable[[str], bool], advance: Advance) -> None:
    """Write every entry that has an admitted name below a new folder, each with the digest of the manifest.

    Raises `Corrupt` when anything is not as it was archived: what is in the folder then is of no use.
    """
    found: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    for member, chunks in _members(path):
        if manifest is not None:
            raise _damaged(path, f"something follows {MANIFEST}")
        if member.name == MANIFEST:
            manifest = _parsed(path, member.name, chunks)
        elif member.name == HEADER:
            found[HEADER] = hashlib.sha256(b"".join(chunks)).hexdigest()
        elif is_safe(member.name) and admits(member.name):
            found[member.name] = _write(member.mode, chunks, folder / member.name, advance)
        else:
            raise BadInput(f"{path} holds {member.name}, which this koboshi does not know: upgrade koboshi.")
    _compare(path, found, manifest)


def is_safe(name: str) -> bool:
    """Whether a name from an archive stays below the folder that it is unpacked into."""
    try:
        return parts_below(name, "the entry") == name
    except BadInput:
        return False


def _check_seal(path: Path) -> None:
    """Any flipped or missing byte shows here, before anything is unpacked."""
    left, found = path.stat().st_size - len(_SEAL) - 32, hashlib.sha256()
    with path.open("rb") as file:
        while left > 0 and (data := file.read(min(CHUNK, left))):
            found.update(data)
            left -= len(data)
        if file.read() != _SEAL + found.digest():
            raise _damaged(path, "its seal does not fit")


class _Hashed(io.RawIOBase):
    """Tells of each byte that is read through it."""

    def __init__(self, file: IO[bytes], advance: Advance) -> None:
        self._file, self._advance, self.sha256 = file, advance, hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        if size > 0 and not data:
            raise EOFError
        self.sha256.update(data)
        self._advance(len(data))
        return data


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes], path: Path, advance: Advance) -> str:
    """As many bytes as the file has now: one that is being appended to goes on behind them."""
    status, info, hashed = path.stat(), tarfile.TarInfo(name), _Hashed(file, advance)
    info.size, info.mode, info.mtime = status.st_size, status.st_mode & 0o777, int(status.st_mtime)
    tar.addfile(info, hashed)
    return hashed.sha256.hexdigest()


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> str:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), int(time.time())
    tar.addfile(info, io.BytesIO(data))
    return hashlib.sha256(data).hexdigest()


def _members(path: Path) -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
    """The entries, one after another; each has to be read before the next. At last the file is read to its end."""
    with _naming_damage(path), open_reading(path) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            file = tar.extractfile(info)
            if file is None:
                raise tarfile.TarError(f"{info.name} is no file")
            yield info, _chunks(path, file)
        while data := stream.read(CHUNK):
            if data.strip(b"\0"):
                raise tarfile.TarError("something follows the archive")


def _chunks(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    with _naming_damage(path):
        while data := file.read(CHUNK):
            yield data


def _write(mode: int, chunks: Iterator[bytes], target: Path, advance: Advance) -> str:
    sha256 = hashlib.sha256()
    with naming_disk_failures(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for data in chunks:
                file.write(data)
                sha256.update(data)
                advance(len(data))
        target.chmod(mode)
    return sha256.hexdigest()


def _compare(path: Path, found: Mapping[str, str], manifest: Mapping[str, Any] | None) -> None:
    if manifest is None:
        raise _damaged(path, "it is cut short")
    expected = manifest.get("files")
    if not isinstance(expected, dict):
        raise _damaged(path, f"{MANIFEST} has no files")
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            raise _damaged(path, f"{name} is not as it was")


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, how: str) -> Corrupt:
    return Corrupt(
        f"{path} is damaged, or no backup ({how.rstrip('.')}): take another copy of it; nothing was changed."
    )


def _parsed(path: Path, name: str, chunks: Iterator[bytes]) -> dict[str, Any]:
    try:
        parsed = load_json(b"".join(chunks))
        if not isinstance(parsed, dict):
            raise ValueError(f"{name} is no object")
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    return parsed


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode() + b"\n"


def open_writing(path: Path) -> IO[bytes]:
    """A file that is compressed as it is written."""
    return cast("IO[bytes]", pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd"))


def open_reading(path: Path) -> IO[bytes]:
    """A compressed file; reading raises `OSError` where it is damaged or cut short."""
    return cast("IO[bytes]", pa.CompressedInputStream(pa.OSFile(str(path), "rb"), "zstd"))
