"""Downloaded model artefacts, kept by digest and shared by the replicas of one machine."""

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from koboshi.errors import Corrupt
from koboshi.files import TEMPORARY_PREFIX, tree_digest
from koboshi.names import one_part

KEPT_S = 3_600.0


def verified_artefact(cache: Path, sha256: str, fetch: Callable[[Path], Path], what: str) -> Path:
    """The folder `cache/<sha256>`, its bytes checked just now; fetched first when it is missing or spoilt.

    Key: the digest. Commit: the rename of a checked folder to its digest. Under a crash a folder with
    `TEMPORARY_PREFIX` is left, which nobody reads. Replicas that ask at once wait for one download. Raises `Corrupt`,
    naming the version, when what was fetched has another digest: then nothing is kept.
    """
    target = cache / one_part(sha256, f"the digest of {what}")
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f".lock-{sha256}"):
        if not target.is_dir() or tree_digest(target) != sha256:
            _fetch_into(target, sha256, fetch, what)
        os.utime(target)
    return target


def sweep(cache: Path, in_use: Collection[str], kept_s: float = KEPT_S) -> list[str]:
    """Remove artefacts that no replica served last (`in_use`) and nobody has taken for `kept_s`; their names.

    The time spares a replica that is just loading one. Under a crash, or when another replica sweeps too, something is
    left for the next sweep; what was half removed is fetched again when it is wanted, because its digest differs.
    """
    before, swept = time.time() - kept_s, []
    for path in sorted(cache.glob("*")):
        with suppress(FileNotFoundError):
            if path.is_dir() and path.name not in in_use and path.stat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)
                swept.append(path.name)
    return swept


def _fetch_into(target: Path, sha256: str, fetch: Callable[[Path], Path], what: str) -> None:
    scratch = target.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    scratch.mkdir()
    try:
        fetched = fetch(scratch)
        found = tree_digest(fetched)
        if found != sha256:
            raise Corrupt(
                f"the artefact of {what} has digest {found[:12]}, but {sha256[:12]} was registered: it is not served; "
                "restore its files, or promote another version."
            )
        shutil.rmtree(target, ignore_errors=True)
        fetched.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock that the system gives back when this process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
