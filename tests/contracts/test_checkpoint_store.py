"""What every checkpoint store promises (I2): a local folder, fsspec in memory, and S3 over real HTTP."""

import hashlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from koboshi.errors import Corrupt, NotConfigured, Unavailable
from koboshi.training.checkpoints import CheckpointStore, fsspec_store, store_at
from tests.support.s3_server import S3Server, s3_server

STATE = b"the state after a step" * 50
SHA256 = hashlib.sha256(STATE).hexdigest()
NAME = "0003-{:.16}.v1.ckpt".format


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.env.items():
            patch.setenv(name, value)
        server.make_bucket("bucket")
        yield server


@pytest.fixture(params=["folder", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that nobody has written to yet."""
    if request.param == "folder":
        return str(tmp_path / "store")
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    request.getfixturevalue("s3")
    return f"s3://bucket/{uuid4().hex}"


@pytest.fixture
def store(url: str) -> CheckpointStore:
    return store_at(url)


def bytes_at(url: str, path: str) -> bytes:
    with fsspec.open(f"{url}/{path}", "rb", use_listings_cache=False) as file:
        return bytes(file.read())


def overwrite(url: str, path: str, data: bytes) -> None:
    """As an accident would, past the store."""
    with fsspec.open(f"{url}/{path}", "wb") as file:
        file.write(data)


def paths(store: CheckpointStore, folder: str = "run") -> list[str]:
    return [file.path for file in store.listed(folder)]


def test_what_was_written_is_read_back_under_a_name_that_tells_its_digest(store: CheckpointStore, url: str) -> None:
    written = store.write("run/a", NAME, STATE)
    assert (written.path, written.sha256) == (f"run/a/0003-{SHA256[:16]}.v1.ckpt", SHA256)
    assert store.read(written.path, SHA256) == STATE
    assert bytes_at(url, written.path) == STATE


def test_a_second_writer_changes_nothing(store: CheckpointStore) -> None:
    """A zombie writes its step again, at any time."""
    first = store.write("run/a", NAME, STATE)
    assert store.write("run/a", NAME, STATE) == first
    assert paths(store) == [first.path]
    assert store.read(first.path, SHA256) == STATE


def test_writers_at_once_all_succeed_and_leave_one_file(store: CheckpointStore) -> None:
    written = []
    writers = [threading.Thread(target=lambda: written.append(store.write("run/a", NAME, STATE))) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert len(written) == 4
    assert paths(store) == [written[0].path]
    assert store.read(written[0].path, SHA256) == STATE


@pytest.mark.parametrize("bad", [STATE[:-1] + b"x", STATE[:7], b""], ids=["flipped", "torn", "empty"])
def test_bad_bytes_are_refused_and_the_next_writer_quarantines_them(
    store: CheckpointStore, url: str, bad: bytes
) -> None:
    """Nothing that somebody may want to look at is ever deleted."""
    written = store.write("run/a", NAME, STATE)
    overwrite(url, written.path, bad)
    with pytest.raises(
        Corrupt, match=rf"checkpoint .*{written.path} is .*{SHA256[:12]} was recorded: run the training"
    ):
        store.read(written.path, SHA256)
    assert bytes_at(url, written.path) == bad
    assert store.write("run/a", NAME, STATE) == written
    assert store.read(written.path, SHA256) == STATE
    kept = f"{written.path}.bad-{hashlib.sha256(bad).hexdigest()[:8]}"
    assert paths(store) == [written.path, kept]
    assert bytes_at(url, kept) == bad


def test_a_missing_file_is_told_apart_from_a_missing_store(store: CheckpointStore) -> None:
    """A folder that is not mounted, a wrong prefix: all steps would be quarantined, and all work done again."""
    with pytest.raises(Unavailable, match=r"the checkpoint store .* is not there"):
        store.read("run/a/0003-x.ckpt", SHA256)
    store.write("run/b", NAME, STATE)
    with pytest.raises(Corrupt, match=r"0003-x\.ckpt is missing"):
        store.read("run/a/0003-x.ckpt", SHA256)


def test_removing_is_safe_to_repeat(store: CheckpointStore) -> None:
    written = store.write("run/a", NAME, STATE)
    store.remove(written.path)
    store.remove(written.path)
    assert paths(store) == []


def test_all_files_below_a_folder_are_listed_with_their_times(store: CheckpointStore, url: str) -> None:
    before = time.time()
    names = [store.write(folder, NAME, STATE).path for folder in ("run/a", "run/b", "runner/a")]
    overwrite(url, "run/a/.part-1", b"half")
    found = store.listed("run")
    assert [file.path for file in found] == ["run/a/.part-1", *names[:2]]
    assert all(before - 2 <= file.modified_at <= time.time() + 2 for file in found)
    assert store.listed("no-such-run") == []


def test_a_server_that_is_silent_is_not_waited_for_for_ever(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped, it keeps its connections; each call ends, and works again once the server does."""
    store = store_at(f"s3://bucket/{uuid4().hex}")
    written = store.write("run/a", NAME, STATE)
    monkeypatch.setattr(fsspec_store, "SILENCE_S", 1.0)
    s3.process.send_signal(signal.SIGSTOP)
    try:
        for call in (
            lambda: store.write("run/b", NAME, STATE),
            lambda: store.read(written.path, SHA256),
            lambda: store.remove(written.path),
            lambda: store.listed("run"),
        ):
            with pytest.raises(Unavailable, match=r"did not (take|give|remove|list) .*Timeout.*: try again\."):
                call()
    finally:
        s3.process.send_signal(signal.SIGCONT)
    monkeypatch.undo()
    assert store.write("run/c", NAME, STATE).sha256 == SHA256


def test_a_bucket_that_is_not_there_is_not_made(s3: S3Server) -> None:
    with pytest.raises(NotConfigured, match=r"refuses to take .* see to address and rights\."):
        store_at("s3://no-such-bucket/x").write("run/a", NAME, STATE)
