"""Jars of a part: fetched through jgo from a Maven repository, each checked against a lock, kept in one folder."""

import dataclasses
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from koboshi.errors import Unavailable
from koboshi.files import publish_bytes, sha256_of, verified_bytes

COMPLETE = "complete"


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

    def fetch(self, cache: Path, say: Callable[[str], None] = lambda _text: None) -> Path:
        """The folder with every locked jar.

        Under a crash: a jar appears whole or not at all, and what is there with the right digest is not fetched again.
        Raises `Corrupt` when a repository serves other bytes than were locked, `Unavailable` when none answers.
        """
        folder = self.folder(cache)
        if (folder / COMPLETE).exists():
            return folder
        say(f"fetching {self.shown}")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda jar: _ensure(folder, cache / "maven", *jar), self.locked().items()))
        publish_bytes(folder / COMPLETE, b"")
        return folder


def file_name(coordinate: str) -> str:
    """What the file of a coordinate is called."""
    _, artifact, version, *archive = coordinate.split(":")
    packaging, classifier = archive or ("jar", "")
    return f"{artifact}-{version}{'-' if classifier else ''}{classifier}.{packaging}"


def _ensure(folder: Path, downloads: Path, coordinate: str, sha256: str) -> None:
    target = folder / file_name(coordinate)
    if target.is_file() and sha256_of(target) == sha256:
        return
    downloaded = _download(downloads, coordinate)
    try:
        jar = verified_bytes(downloaded, sha256, "the jar", "run `koboshi up` again, or look at your Maven mirror")
    finally:
        downloaded.unlink(missing_ok=True)
    publish_bytes(target, jar)


def _download(downloads: Path, coordinate: str) -> Path:
    import requests
    from jgo.maven import MavenContext

    group, artifact_id, version, *archive = coordinate.split(":")
    packaging, classifier = archive or ("jar", "")
    context = MavenContext(repo_cache=downloads, remote_repos=repositories(), timeout=60)
    component = context.project(group, artifact_id).at_version(version)
    artifact = component.artifact(classifier=classifier, packaging=packaging)
    artifact.cached_path.unlink(missing_ok=True)
    try:
        return Path(artifact.resolve())
    except (requests.RequestException, RuntimeError, OSError) as error:
        raise Unavailable(
            f"{coordinate} could not be fetched ({type(error).__name__}): check the network, or name a Maven mirror "
            "in ~/.m2/settings.xml or in the [repositories] of ~/.config/jgo.conf."
        ) from error


def repositories() -> dict[str, str]:
    """Where jars may come from: the mirrors of jgo's and of Maven's own settings, else Maven Central."""
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL

    configured = {**GlobalSettings.load().repositories, **maven_mirrors(_maven_settings())}
    return configured or {"central": MAVEN_CENTRAL_URL}


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
