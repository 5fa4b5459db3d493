"""Checkpoints on any storage that fsspec reaches; put-if-absent under a content-addressed name takes rename's place."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem, sync

from koboshi.errors import KoboshiError, NotConfigured, Unavailable
from koboshi.training.checkpoints import StoredFile, Written, checked, quarantined_name

# There a folder is only a part of a name, and the bucket has to be there: we make none by mistake.
_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci"})
# Without them a server that is gone would keep a writer for minutes.
_LIMITS = {"config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 1}}}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {"s3": _LIMITS, "s3a": _LIMITS}
# For a whole call: the limits above do not hold while S3 waits for a "100 Continue".
SILENCE_S = 120.0
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")  # by backend
_REFUSALS = ("NoCredentialsError", "PartialCredentialsError")  # botocore's, which is not imported here


class FsspecStore:
    """A prefix of some storage. Credentials and endpoints come from the backend's own places (environment, files)."""

    def __init__(self, url: str) -> None:
        """Raises `NotConfigured` when no installed package knows the URL's scheme."""
        self._url, scheme = url.rstrip("/"), url.partition("://")[0]
        try:
            self._storage, root = fsspec.core.url_to_fs(url, use_listings_cache=False, **_OPTIONS.get(scheme, {}))
        except (ImportError, ValueError) as error:
            raise NotConfigured(f"the checkpoint store {url} cannot be opened: {str(error).rstrip('.')}.") from error
        self._root, self._makes_folders = str(root).rstrip("/"), scheme not in _BUCKETS

    def write(self, folder: str, name: Callable[[str], str], data: bytes) -> Written:
        """Put, if the name is free; a second writer finds its own bytes there.

        Under a crash: an object store has the whole file or none. Where a file can be torn under its final name, no row
        names it, and whoever writes it next quarantines it.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = f"{folder}/{name(sha256)}"
        with self._naming_failures("take", path):
            if self._makes_folders:
                self._ask("makedirs", self._full(folder), exist_ok=True)
            try:
                self._ask("pipe_file", self._full(path), data, mode="create")
            except FileExistsError:
                self._replace_other(path, sha256, data)
        return Written(path, sha256)

    def read(self, path: str, sha256: str) -> bytes:
        """Raises `Unavailable` when the whole store is missing: then its files are not lost, but somewhere else."""
        with self._naming_failures("give", path):
            try:
                data = self._ask("cat_file", self._full(path))
            except FileNotFoundError:
                data = None
                if not self._ask("exists", self._root):
                    raise Unavailable(
                        f"the checkpoint store {self._url} is not there: see that it is the one."
                    ) from None
        return checked(data, sha256, f"{self._url}/{path}")

    def remove(self, path: str) -> None:
        """Remove it; that somebody else did is as good."""
        with self._naming_failures("remove", path), suppress(FileNotFoundError):
            self._ask("rm_file", self._full(path))

    def listed(self, folder: str) -> Sequence[StoredFile]:
        """What is below a prefix. A backend that tells no time tells of files that are never old."""
        with self._naming_failures("list", folder):
            found = self._ask("find", self._full(folder), detail=True)
        return [
            StoredFile(path.removeprefix(f"{self._root}/"), _modified_at(about))
            for path, about in sorted(found.items())
        ]

    def _replace_other(self, path: str, sha256: str, data: bytes) -> None:
        found = hashlib.sha256(self._ask("cat_file", self._full(path))).hexdigest()
        if found != sha256:
            self._ask("cp_file", self._full(path), self._full(quarantined_name(path, found)))
            self._ask("pipe_file", self._full(path), data)

    def _ask(self, call: str, *words: Any, **options: Any) -> Any:
        """Call the backend, for at most `SILENCE_S` if it is an asynchronous one; others have limits of their own."""
        if isinstance(self._storage, AsyncFileSystem):
            return sync(self._storage.loop, getattr(self._storage, f"_{call}"), *words, timeout=SILENCE_S, **options)
        return getattr(self._storage, call)(*words, **options)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _naming_failures(self, what: str, path: str) -> Iterator[None]:
        """Each backend has errors of its own, so all that is not a refusal counts as worth another try."""
        try:
            yield
        except KoboshiError:
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {error}".rstrip(".")
            if isinstance(error, (FileNotFoundError, PermissionError)) or type(error).__name__ in _REFUSALS:
                raise NotConfigured(
                    f"the checkpoint store {self._url} refuses to {what} {path} ({told}): see to address and rights."
                ) from error
            raise Unavailable(f"the checkpoint store {self._url} did not {what} {path} ({told}): try again.") from error


def open_store(url: str) -> FsspecStore:
    """The store at a URL; raises `NotConfigured`."""
    return FsspecStore(url)


def _modified_at(about: Mapping[str, Any]) -> float:
    found = next((about[name] for name in _TIMES if about.get(name) is not None), None)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if isinstance(found, datetime):
        return found.timestamp()
    return float("inf") if found is None else float(found)
