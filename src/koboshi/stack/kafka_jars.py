"""Kafka's jars: fetched through jgo from a Maven repository, each checked against the lock, kept in one folder."""

import os
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from koboshi.errors import Unavailable
from koboshi.files import publish_bytes, sha256_of, verified_bytes

LOCK = Path(__file__).with_name("kafka_jars.lock")
COMPLETE = "complete"


def locked_jars() -> dict[str, str]:
    """Coordinate (`group:artifact:version`) to SHA-256."""
    lines = [line.split() for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    return {coordinate: sha256 for sha256, coordinate in lines}


def jars_folder(cache: Path) -> Path:
    """Where this lock's jars are, or will be."""
    return cache / "kafka" / sha256_of(LOCK)[:16]


def ensure_jars(cache: Path) -> Path:
    """The folder with every locked jar.

    Under a crash: a jar appears whole or not at all, and what is there with the right digest is not fetched again.
    Raises `Corrupt` when a repository serves other bytes than were locked, `Unavailable` when none answers.
    """
    folder = jars_folder(cache)
    if (folder / COMPLETE).exists():
        return folder
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda jar: _ensure(folder, cache / "maven", *jar), locked_jars().items()))
    publish_bytes(folder / COMPLETE, b"")
    return folder


def _ensure(folder: Path, downloads: Path, coordinate: str, sha256: str) -> None:
    _, artifact, version = coordinate.split(":")
    target = folder / f"{artifact}-{version}.jar"
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

    context = MavenContext(repo_cache=downloads, remote_repos=repositories(), timeout=60)
    artifact = context.create_dependency(coordinate).artifact
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
