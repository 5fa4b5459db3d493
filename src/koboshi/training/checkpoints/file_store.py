"""Checkpoints in a local folder, or one that all nodes have mounted: a file appears by rename, after fsync."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from koboshi.errors import Corrupt, Unavailable
from koboshi.files import naming_disk_failures, publish, sha256_of
from koboshi.training.checkpoints import REPAIR, StoredFile, Written, checked, quarantined_name


class FolderStore:
    """A folder, which is made by the first write."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, folder: str, name: Callable[[str], str], data: bytes) -> Written:
        """See `files.publish` for what a crash leaves: at most a `.part-` file, which is swept later."""

        def free_name(sha256: str) -> str:
            chosen = name(sha256)
            _quarantine(self._root / folder / chosen, sha256)
            return chosen

        written = publish(self._root / folder, free_name, lambda temporary: temporary.write_bytes(data))
        return Written(written.path.relative_to(self._root).as_posix(), written.sha256)

    def read(self, path: str, sha256: str) -> bytes:
        """A file on a bad sector is as bad as a flipped one. Raises `Unavailable` when the whole folder is missing."""
        file = self._root / path
        try:
            return checked(file.read_bytes(), sha256, str(file))
        except FileNotFoundError:
            if not self._root.is_dir():
                raise Unavailable(
                    f"the checkpoint store {self._root} is not there: mount it, or make the folder if it is lost."
                ) from None
            return checked(None, sha256, str(file))
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise Corrupt(f"checkpoint {file} cannot be read ({os.strerror(errno.EIO)}): {REPAIR}.") from error

    def remove(self, path: str) -> None:
        """Unlink it."""
        with naming_disk_failures(self._root):
            (self._root / path).unlink(missing_ok=True)

    def listed(self, folder: str) -> Sequence[StoredFile]:
        """Whatever goes while we look is left out."""
        with naming_disk_failures(self._root):
            return list(self._files(self._root / folder))

    def _files(self, folder: Path) -> Iterator[StoredFile]:
        for path in sorted(folder.rglob("*")):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                yield StoredFile(path.relative_to(self._root).as_posix(), found.st_mtime)


def open_store(url: str) -> FolderStore:
    """The store in a folder that is named by its path or by a `file://` URL."""
    return FolderStore(Path(url.removeprefix("file://")))


def _quarantine(target: Path, sha256: str) -> None:
    if target.is_file() and (found := sha256_of(target)) != sha256:
        target.rename(quarantined_name(str(target), found))
