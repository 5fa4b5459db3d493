"""Kafka's jars come by digest, from Maven Central or the mirror that the user has set."""

from pathlib import Path

import pytest

from koboshi.errors import Corrupt
from koboshi.files import sha256_of
from koboshi.stack import kafka_jars
from koboshi.stack.kafka_jars import ensure_jars, locked_jars, maven_mirrors

MIRRORS = """<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><mirrors>
<mirror><id>near</id><mirrorOf>central</mirrorOf><url>https://mirror.example/maven/</url></mirror>
<mirror><id>other</id><mirrorOf>snapshots</mirrorOf><url>https://other.example</url></mirror>
</mirrors></settings>"""


def test_every_jar_is_locked_by_a_digest() -> None:
    """The broker and the binding without which it logs nothing."""
    jars = locked_jars()
    assert all(len(sha256) == 64 for sha256 in jars.values())
    assert any(name.startswith("org.apache.kafka:kafka_2.13:4.") for name in jars)
    assert any("log4j-slf4j-impl" in name for name in jars)


def test_mirrors_of_central_in_mavens_settings_are_used() -> None:
    """Those of other repositories are not."""
    assert maven_mirrors(MIRRORS) == {"near": "https://mirror.example/maven"}
    assert maven_mirrors("") == {}


@pytest.fixture
def one_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    served = tmp_path / "served.jar"
    served.write_bytes(b"a jar")
    lock = tmp_path / "lock"
    lock.write_text(f"# one\n{sha256_of(served)}  g:a:1\n")
    monkeypatch.setattr(kafka_jars, "LOCK", lock)

    def download(folder: Path, _coordinate: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "x").write_bytes(served.read_bytes())
        return folder / "x"

    monkeypatch.setattr(kafka_jars, "_download", download)
    return served


def test_jars_are_fetched_once(tmp_path: Path, one_jar: Path) -> None:
    """The second time nothing is asked for."""
    folder = ensure_jars(tmp_path / "cache")
    assert (folder / "a-1.jar").read_bytes() == b"a jar"
    one_jar.unlink()
    assert ensure_jars(tmp_path / "cache") == folder


def test_other_bytes_than_were_locked_are_refused(tmp_path: Path, one_jar: Path) -> None:
    """Before they are put where the broker looks."""
    one_jar.write_bytes(b"another jar")
    with pytest.raises(Corrupt, match="look at your Maven mirror"):
        ensure_jars(tmp_path / "cache")
    assert list((tmp_path / "cache" / "kafka").rglob("*.jar")) == []
