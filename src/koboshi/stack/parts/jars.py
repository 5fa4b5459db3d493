"""Jars of a part: fetched from a Maven repository, each checked against a lock, kept in one folder."""

import dataclasses
import os
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from koboshi.errors import Unavailable
from koboshi.events import DownloadBegan, Sink
from koboshi.files import publish, publish_bytes, sha256_of, verify
from koboshi.proxies import client

COMPLETE = "complete"
ANSWER_LIMIT_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Jars:
    """The jars that a lock file lists, in the folder `name` of the cache; `shown` names them in the progress output.

    A line of the lock is a SHA-256 and a coordinate: `group:artifact:version` of a jar, or
    `group:artifact:version:packaging:classifier` of another archive.
    """

    name: str
    lock: Path
    shown: str

    def locked(self) -> dict[str, str]:
        """Coordinate to SHA-256."""
        lines = [line.split() for line in self.lock.read_text().splitlines() if not line.startswith("#")]
        return {coordinate: sha256 for sha256, coordinate in lines}

    def folder(self, cache: Path) -> Path:
        """Where this lock's jars are, or will be."""
        return cache / self.name / sha256_of(self.lock)[:16]

    def fetch(self, cache: Path, emit: Sink = lambda _event: None, store: Path | None = None) -> Path:
        """The folder with every locked jar; one that lies in `store` is copied, one that does not is kept there, too.

        Under a crash: a jar appears whole or not at all, and what is there with the right digest is not fetched again.
        Raises `Corrupt` when a repository serves other bytes than were locked, `Unavailable` when none answers.
        """
        folder = self.folder(cache)
        if (folder / COMPLETE).exists():
            return folder
        if store is None or not all((store / file_name(jar)).is_file() for jar in self.locked()):
            emit(DownloadBegan(what=self.shown))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda jar: _ensure(folder, store, *jar), self.locked().items()))
        publish_bytes(folder / COMPLETE, b"")
        return folder


def file_name(coordinate: str) -> str:
    """What the file of a coordinate is called."""
    _, artifact, version, *archive = coordinate.split(":")
    packaging, classifier = archive or ("jar", "")
    return f"{artifact}-{version}{'-' if classifier else ''}{classifier}.{packaging}"


def environment_store() -> Path | None:
    """Where projects of one Python environment share jars; None outside of an environment, or where it is read-only."""
    share = Path(sys.prefix) / "share"
    own = sys.prefix != sys.base_prefix and os.access(share if share.is_dir() else sys.prefix, os.W_OK)
    return share / "koboshi" / "jars" if own else None


def _ensure(folder: Path, store: Path | None, coordinate: str, sha256: str) -> None:
    name = file_name(coordinate)
    if _is_there(folder / name, sha256):
        return
    kept = store / name if store else None

    def write(unfinished: Path) -> None:
        if kept and _is_there(kept, sha256):
            _copy(kept, unfinished)
        else:
            _download(coordinate, unfinished)
        verify(unfinished, sha256, f"the jar {name} in", "run `koboshi up` again, or look at your Maven mirror")

    publish(folder, name, write)
    if kept and not _is_there(kept, sha256):
        publish(kept.parent, name, partial(_copy, folder / name))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _is_there(file: Path, sha256: str) -> bool:
    return file.is_file() and sha256_of(file) == sha256


def _download(coordinate: str, target: Path) -> None:
    """Write the file of a coordinate, from the first repository that has it."""
    import httpx  # here: a third of what a verb that fetches nothing would take to start

    group, artifact, version, *_ = coordinate.split(":")
    path = "/".join([*group.split("."), artifact, version, file_name(coordinate)])
    troubles = []
    for url in repositories().values():
        try:
            return _stream(f"{url}/{path}", target)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            troubles.append(f"{type(error).__name__} from {url}")
    raise Unavailable(
        f"{coordinate} could not be fetched ({', '.join(troubles)}): check the network, or name a Maven mirror in "
        "~/.m2/settings.xml or in the [repositories] of ~/.config/jgo.conf."
    )


def _stream(url: str, target: Path) -> None:
    with (
        client(url, timeout=ANSWER_LIMIT_S, follow_redirects=True) as asked,
        asked.stream("GET", url) as answer,
        target.open("wb") as file,
    ):
        for chunk in answer.raise_for_status().iter_bytes():
            file.write(chunk)


def repositories() -> dict[str, str]:
    """Where jars may come from: the mirrors of jgo's and of Maven's own settings, else Maven Central."""
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL

    configured = {**GlobalSettings.load().repositories, **maven_mirrors(_maven_settings())}
    return {name: url.rstrip("/") for name, url in (configured or {"central": MAVEN_CENTRAL_URL}).items()}


def _maven_settings() -> str:
    path = Path(os.environ.get("MAVEN_SETTINGS", "~/.m2/settings.xml")).expanduser()
    return path.read_text() if path.is_file() else ""


def maven_mirrors(settings_xml: str) -> dict[str, str]:
    """The mirrors that stand for Maven Central in a settings.xml, by id."""
    if not settings_xml:
        return {}
    root = ElementTree.fromstring(settings_xml)  # noqa: S314 (the user's own file)
    mirrors = root.findall(".//{*}mirror") or root.findall(".//mirror")
    texts = [{child.tag.rpartition("}")[2]: (child.text or "").strip() for child in mirror} for mirror in mirrors]
    covering = [t for t in texts if {"*", "external:*", "central"} & set(t.get("mirrorOf", "").split(","))]
    return {mirror.get("id", "mirror"): mirror["url"].rstrip("/") for mirror in covering}
