"""Kafka's jars come by digest, from Maven Central or the mirror that the user has set."""

import sys
from pathlib import Path

import httpx
import pytest

from koboshi.errors import Corrupt, Unavailable
from koboshi.events import DownloadBegan, Event, unheard
from koboshi.files import sha256_of
from koboshi.stack.parts import jars
from koboshi.stack.parts.jars import Jars, environment_store, file_name, maven_mirrors
from koboshi.stack.parts.kafka import JARS

MIRRORS = """<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><mirrors>
<mirror><id>near</id><mirrorOf>central</mirrorOf><url>https://mirror.example/maven/</url></mirror>
<mirror><id>other</id><mirrorOf>snapshots</mirrorOf><url>https://other.example</url></mirror>
</mirrors></settings>"""


def test_every_jar_is_locked_by_a_digest() -> None:
    """The broker and the binding without which it logs nothing."""
    locked = JARS.locked()
    assert all(len(sha256) == 64 for sha256 in locked.values())
    assert any(name.startswith("org.apache.kafka:kafka_2.13:4.") for name in locked)
    assert any("log4j-slf4j-impl" in name for name in locked)


def test_mirrors_of_central_in_mavens_settings_are_used() -> None:
    """Those of other repositories are not."""
    assert maven_mirrors(MIRRORS) == {"near": "https://mirror.example/maven"}
    assert maven_mirrors("") == {}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    served = tmp_path / "served.jar"
    served.write_bytes(b"a jar")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url != "https://mirror.example/maven/g/a/1/a-1.jar":
            return httpx.Response(404)
        return httpx.Response(200, content=served.read_bytes())

    urls = {"empty": "https://empty.example", "near": "https://mirror.example/maven"}
    monkeypatch.setattr(jars, "repositories", lambda: urls)
    monkeypatch.setattr(
        jars, "client", lambda _url, **options: httpx.Client(transport=httpx.MockTransport(answer), **options)
    )
    return served


@pytest.fixture
def one_jar(tmp_path: Path, served: Path) -> Jars:
    lock = tmp_path / "lock"
    lock.write_text(f"# one\n{sha256_of(served)}  g:a:1\n")
    return Jars("kafka", lock, "a jar")


def test_jars_are_fetched_once(tmp_path: Path, served: Path, one_jar: Jars) -> None:
    """From the repository that has it. The second time nothing is asked for, and nobody hears of it."""
    heard: list[Event] = []
    folder = one_jar.fetch(tmp_path / "cache", heard.append)
    assert (folder / "a-1.jar").read_bytes() == b"a jar"
    served.unlink()
    assert one_jar.fetch(tmp_path / "cache", heard.append) == folder
    assert heard == [DownloadBegan(what="a jar")]


def test_a_second_project_of_the_environment_fetches_nothing(tmp_path: Path, served: Path, one_jar: Jars) -> None:
    """A jar of other bytes in the environment is fetched anew, and put right there."""
    heard: list[Event] = []
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a-1.jar").write_bytes(b"half a j")
    one_jar.fetch(tmp_path / "first", heard.append, tmp_path / "store")
    served.unlink()
    folder = one_jar.fetch(tmp_path / "second", unheard, tmp_path / "store")
    assert (folder / "a-1.jar").read_bytes() == b"a jar"


def test_the_environments_store_is_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert environment_store() == tmp_path / "share" / "koboshi" / "jars"
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    assert environment_store() is None


def test_other_bytes_than_were_locked_are_refused(tmp_path: Path, served: Path, one_jar: Jars) -> None:
    """Before they are put where the broker looks."""
    served.write_bytes(b"another jar")
    with pytest.raises(Corrupt, match="look at your Maven mirror"):
        one_jar.fetch(tmp_path / "cache")
    assert list((tmp_path / "cache" / "kafka").rglob("*.jar")) == []


def test_a_jar_that_no_repository_has_is_named(tmp_path: Path, served: Path) -> None:
    """With what each of them answered, and where a mirror is named."""
    lock = tmp_path / "lock"
    lock.write_text(f"{sha256_of(served)}  g:b:2\n")
    with pytest.raises(
        Unavailable, match=r"g:b:2 could not be fetched \(HTTPStatusError from https://empty.example, .*m2"
    ):
        Jars("kafka", lock, "a jar").fetch(tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.jar"))


def test_an_archive_is_named_as_a_repository_names_it() -> None:
    """By version, classifier and packaging."""
    assert file_name("g:a:1") == "a-1.jar"
    assert file_name("g:a:1:tar.gz:all") == "a-1-all.tar.gz"
