"""What was backed up comes back byte by byte, or nothing does; and nothing that is there is ever overwritten."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections import namedtuple
from pathlib import Path

import pytest

from koboshi.backup import restoring
from koboshi.backup.making import pieces
from koboshi.backup.pyarrow_archive import MANIFEST, Entry, is_safe, open_writing, read_header, unpack, write_archive
from koboshi.backup.restoring import restore
from koboshi.errors import BadInput, Conflict, Corrupt, Fenced, NotConfigured
from koboshi.events import BackupBegan, BytesCopied, Event, RestoreBegan, in_words, unheard
from koboshi.files import tree_digest
from koboshi.ingest.audit import audit_topic
from koboshi.ledger import Ledger, leases, spans
from koboshi.refs import SpanRange
from koboshi.settings import Settings
from koboshi.stack.paths import find_paths, prepare_paths
from koboshi.stack.process_table import TAG
from tests.support.backed_up import backup_of, empty_project, everything, filled_project, lander, stream
from tests.support.memory_stream import MemoryBroker

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return filled_project(tmp_path_factory.mktemp("filled"))


@pytest.fixture(scope="module")
def made(filled: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return backup_of(filled, tmp_path_factory.mktemp("made") / "made.koboshi")


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    return empty_project(tmp_path / "empty")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def untouched(settings: Settings) -> bool:
    """Nothing was put into the project, and nothing half is left beside."""
    names = {path.name for path in settings.state_dir.iterdir()} if settings.state_dir.exists() else set()
    return names <= {"stack", ".gitignore"} and [path.name for path in settings.project.glob("*.json")] == []


def test_everything_comes_back(filled: Settings, made: Path, empty: Settings) -> None:
    """Files byte by byte, rows one by one; what is of one machine stays there."""
    restore(empty, made, unheard)
    assert everything(empty) == everything(filled)
    names = {path.relative_to(empty.state_dir).as_posix() for path in empty.state_dir.rglob("*") if path.is_file()}
    assert not names & {"kafka/.lock", "spans/t/0/.part-dead", "logs/kafka.log", "stack/secrets.json"}
    assert not empty.state_dir.joinpath("airflow").exists()
    assert not find_paths(empty.project, empty.state_dir).restoring.exists()


def test_landing_goes_on_and_who_held_a_lease_before_is_fenced(filled: Settings, made: Path, empty: Settings) -> None:
    """I1, I3: one whose lease is in the backup, and one who got its token after the backup was made."""
    later = Ledger(filled.ledger_url)
    zombie = [leases.acquire(later, "land/t/0", "zombie", 0) for _ in range(5)][-1]
    restore(empty, made, unheard)
    source, ledger = stream(), Ledger(empty.ledger_url)
    for lease in (zombie, leases.Lease("training/run", "us", 1, 0.0)):
        with pytest.raises(Fenced):
            spans.plan(ledger, lease, [SpanRange("t", source.topic_id("t"), 0, 25, 30)])
    source.append("t", 0, 12)
    lander(empty, source).land_topic("t")
    assert leases.acquire(ledger, "land/t/0", "us", 0).token > zombie.token
    verdicts = audit_topic(MemoryBroker(source), empty.state_dir, spans.committed(ledger, "t"))
    assert [(verdict.outcome, verdict.records) for verdict in verdicts] == [("equal", 37), ("equal", 7)]


def test_it_tells_how_far_it_is(filled: Settings, tmp_path: Path, empty: Settings) -> None:
    for what in (
        lambda emit: backup_of(filled, tmp_path / "b", emit=emit),
        lambda emit: restore(empty, tmp_path / "b", emit),
    ):
        told: list[Event] = []
        what(told.append)
        (began,) = [event for event in told if isinstance(event, BackupBegan | RestoreBegan)]
        done = sum(event.count for event in told if isinstance(event, BytesCopied))
        assert round(began.size_mb * 1e6) == done > 0
        assert f"{done / 1e6:,.1f} MB" in began.sentence


class TestDamage:
    def test_a_flipped_byte_is_refused_wherever_it_is(self, made: Path, empty: Settings, tmp_path: Path) -> None:
        """Before anything is changed."""
        data, bad = made.read_bytes(), tmp_path / "bad"
        for position in [*range(0, len(data), max(1, len(data) // 40)), *range(len(data) - 20, len(data))]:
            bad.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
            with pytest.raises(Corrupt, match="bad is damaged, or no backup"):
                restore(empty, bad, unheard)
            assert untouched(empty), position

    def test_a_file_that_was_cut_short_is_refused(self, made: Path, empty: Settings, tmp_path: Path) -> None:
        data, bad = made.read_bytes(), tmp_path / "bad"
        for length in [0, 1, 9, *range(20, len(data), len(data) // 20), *range(len(data) - 9, len(data))]:
            bad.write_bytes(data[:length])
            with pytest.raises(Corrupt, match="bad is damaged, or no backup"):
                restore(empty, bad, unheard)
            assert untouched(empty), length

    def test_what_is_no_backup_is_refused(self, empty: Settings, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("not a backup")
        with pytest.raises(Corrupt, match="or no backup"):
            restore(empty, tmp_path / "text", unheard)
        with pytest.raises(BadInput, match="there is no file"):
            restore(empty, tmp_path / "nothing", unheard)

    @pytest.mark.parametrize(
        ("manifest", "said"),
        [
            ({"files": {"state/one": sha256(b"1")}}, "state/two is not as it was"),
            ({"files": {"state/one": sha256(b"1"), "state/two": sha256(b"1")}}, "state/two is not as it was"),
            ({"files": {"state/one": sha256(b"1"), "state/two": sha256(b"2"), "z": "0"}}, "z is not as it was"),
            ({}, "has no files"),
            ([], "is no object"),
            (None, "it is cut short"),
        ],
    )
    def test_files_have_to_be_those_of_the_manifest(self, tmp_path: Path, manifest: object, said: str) -> None:
        """The guard behind the compression's own: archives that are whole, and say something else."""
        held = {"state/one": b"1", "state/two": b"2"} | (
            {MANIFEST: json.dumps(manifest).encode()} if manifest is not None else {}
        )
        with open_writing(tmp_path / "archive") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
            for name, data in held.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        with pytest.raises(Corrupt, match=said):
            unpack(tmp_path / "archive", tmp_path / "out", lambda _: True, lambda _: None)


class TestWhatIsThere:
    @pytest.mark.parametrize("name", ["spans/t/0/1", "kafka/meta.properties", "mlflow/mlflow.db", "checkpoints/x"])
    def test_a_place_that_is_not_empty_is_left_alone(self, made: Path, empty: Settings, name: str) -> None:
        (empty.state_dir / name).parent.mkdir(parents=True)
        (empty.state_dir / name).write_bytes(b"mine")
        before = tree_digest(empty.state_dir)
        with pytest.raises(Conflict, match="is not empty: restore into a new clone, or move it away first"):
            restore(empty, made, unheard)
        shutil.rmtree(empty.state_dir / "stack")
        (empty.state_dir / ".gitignore").unlink(missing_ok=True)
        assert tree_digest(empty.state_dir) == before

    def test_a_ledger_with_a_row_is_left_alone_and_an_empty_one_is_not_in_the_way(
        self, filled: Settings, made: Path, empty: Settings
    ) -> None:
        ledger = Ledger(empty.ledger_url)
        lease = leases.acquire(ledger, "x", "somebody", 60)
        with pytest.raises(Conflict, match=r"ledger\.db is not empty"):
            restore(empty, made, unheard)
        with ledger.transaction() as connection:
            leases.check(connection, lease)
            connection.exec_driver_sql("DELETE FROM leases")
        for folder in ("kafka", "mlflow/artifacts", "spans"):
            (empty.state_dir / folder).mkdir(parents=True)
        restore(empty, made, unheard)
        assert everything(empty) == everything(filled)

    def test_a_cut_that_is_in_no_commit_is_left_alone(self, made: Path, empty: Settings) -> None:
        """One that git has is replaced: git shows how they differ."""
        (empty.project / "cut.json").write_text("{}")
        with pytest.raises(Conflict, match=r"cut\.json differs from the backup's and is in no commit"):
            restore(empty, made, unheard)
        assert (empty.project / "cut.json").read_text() == "{}"
        git = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost"]
        for words in (["init", "-q"], ["add", "cut.json"], ["commit", "-qm", "x"]):
            subprocess.run([*git, *words], cwd=empty.project, check=True)
        restore(empty, made, unheard)
        assert "transactions" not in (empty.project / "cut.json").read_text() != "{}"

    def test_an_existing_file_is_not_overwritten_by_a_backup(
        self, filled: Settings, made: Path, tmp_path: Path
    ) -> None:
        before = made.read_bytes()
        with pytest.raises(BadInput, match="is there already: choose another name"):
            backup_of(filled, made)
        with pytest.raises(BadInput, match="there is no folder"):
            backup_of(filled, tmp_path / "no" / "file")
        assert made.read_bytes() == before

    def test_nothing_is_nothing_to_back_up(self, empty: Settings, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="there is nothing to back up"):
            backup_of(empty, tmp_path / "b")


class TestFormats:
    def test_a_newer_backup_is_refused(self, filled: Settings, empty: Settings, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        with monkeypatch.context() as later:
            later.setitem(write_archive.__globals__, "FORMAT_VERSION", 99)
            backup_of(filled, tmp_path / "b")
        with pytest.raises(BadInput, match=r"b has format 99, this koboshi knows 1: upgrade koboshi\.$"):
            restore(empty, tmp_path / "b", unheard)
        assert untouched(empty)

    def test_a_newer_ledger_in_a_backup_is_refused(self, empty: Settings, tmp_path: Path) -> None:
        settings = filled_project(tmp_path / "filled")
        with Ledger(settings.ledger_url).transaction() as connection:
            connection.exec_driver_sql("UPDATE koboshi_versions SET format_version = 99")
        with pytest.MonkeyPatch.context() as later:
            later.setattr("koboshi.ledger.tables.FORMAT_VERSION", 99)
            backup_of(settings, tmp_path / "b")
        with pytest.raises(NotConfigured, match=r"has format 99, this koboshi knows .*: upgrade koboshi"):
            restore(empty, tmp_path / "b", unheard)
        assert untouched(empty)

    def test_names_that_lead_elsewhere_are_refused(self, filled: Settings, empty: Settings, tmp_path: Path) -> None:
        """Also names of places that a backup has no business in."""
        header = {"pieces": [], "bytes": 0, "cache_bytes": 0, "made_at": 0, "commit": None}
        for number, name in enumerate(("state/spans/../../x", "state/stack/secrets.json", "project/src/evil.py", "/x")):
            archive = tmp_path / str(number)
            write_archive(archive, header, [Entry(name, filled.project / "koboshi.toml", 1)], lambda _: None)
            with pytest.raises(BadInput, match=r"holds .*(x|secrets\.json|evil\.py)"):
                restore(empty, archive, unheard)
            assert untouched(empty)
        assert [is_safe(name) for name in ("state/spans/t/0/1", "a//b", "a/../b", "/a")] == [True, False, False, False]


class TestRoom:
    def test_too_little_room_is_said_before_anything_is_done(
        self, filled: Settings, made: Path, empty: Settings, tmp_path: Path, monkeypatch
    ) -> None:  # type: ignore[no-untyped-def]
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 1000))
        with pytest.raises(NotConfigured, match=r"the backup may take .* GB, and .* GB are free"):
            backup_of(filled, tmp_path / "b")
        with pytest.raises(NotConfigured, match=r"the backup may take .* GB, and .* GB are free in .*: make room\."):
            restore(empty, made, unheard)
        assert untouched(empty)
        assert [path.name for path in tmp_path.iterdir()] == ["empty"]


class TestInterrupted:
    def test_a_restore_that_was_interrupted_anywhere_is_finished_or_done_again(
        self, filled: Settings, made: Path, tmp_path: Path, monkeypatch
    ) -> None:  # type: ignore[no-untyped-def]
        """At each move into place, and between verifying and moving."""
        moves = len(pieces(filled))
        for stop_at in range(moves + 1):
            settings, moved = empty_project(tmp_path / str(stop_at)), []

            def stopping(staged, piece, real=restoring._move, moved=moved, stop_at=stop_at):  # type: ignore[no-untyped-def]
                if len(moved) == stop_at:
                    raise KeyboardInterrupt
                moved.append(piece)
                real(staged, piece)

            with monkeypatch.context() as patch:
                patch.setattr(restoring, "_move", stopping)
                if stop_at < moves:
                    with pytest.raises(KeyboardInterrupt):
                        restore(settings, made, unheard)
                    paths = find_paths(settings.project, settings.state_dir)
                    with pytest.raises(NotConfigured, match="a restore was interrupted here"):
                        prepare_paths(paths)
                    assert not Path(settings.ledger_url.removeprefix("sqlite:///")).exists()
            said: list[str] = []
            restore(settings, made, in_words(said.append))
            assert everything(settings) == everything(filled)
            assert stop_at == moves or said[0] == "finishing the restore that was interrupted here"

    def test_what_came_in_the_way_meanwhile_is_left_alone(
        self, filled: Settings, made: Path, empty: Settings, monkeypatch
    ) -> None:  # type: ignore[no-untyped-def]
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(restoring, "_put_in_place", interrupted)
            with pytest.raises(KeyboardInterrupt):
                restore(empty, made, unheard)
        (empty.state_dir / "spans" / "t").mkdir(parents=True)
        (empty.state_dir / "spans" / "t" / "mine").write_text("mine")
        with pytest.raises(Conflict, match="spans came in the way of the restore"):
            restore(empty, made, unheard)
        shutil.rmtree(empty.state_dir / "spans")
        restore(empty, made, unheard)
        assert everything(empty) == everything(filled)

    def test_another_disk_is_no_obstacle(self, filled: Settings, made: Path, empty: Settings, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        """DVC's cache may be on another one than the state folder: then files are copied beside, and renamed there."""
        real = Path.rename

        def rename(self, target):  # type: ignore[no-untyped-def]
            if ".restore" in self.parent.parts:
                raise OSError(18, "Invalid cross-device link")
            return real(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", rename)
            restore(empty, made, unheard)
        assert everything(empty) == everything(filled)


class TestWhileThingsGoOn:
    @pytest.fixture
    def stack(self, filled: Settings):  # type: ignore[no-untyped-def]
        """A process of the project's stack."""
        tag = {TAG: find_paths(filled.project, filled.state_dir).stack_id}
        process = subprocess.Popen(["sleep", "60"], env={**os.environ, **tag})
        yield process
        process.kill()
        process.wait()

    @pytest.mark.usefixtures("stack")
    def test_kafkas_log_is_copied_only_at_rest(self, filled: Settings, tmp_path: Path, empty: Settings) -> None:
        with pytest.raises(Conflict, match="run `koboshi down` first, or leave the log out with --without-kafka"):
            backup_of(filled, tmp_path / "b")
        assert not (tmp_path / "b").exists()
        backup_of(filled, tmp_path / "b", with_kafka=False)
        restore(empty, tmp_path / "b", unheard)
        expected = {name: value for name, value in everything(filled).items() if not name.startswith("kafka/")}
        assert everything(empty) == expected

    @pytest.mark.usefixtures("stack")
    def test_a_restore_needs_the_stack_to_be_down(self, filled: Settings, made: Path) -> None:
        with pytest.raises(Conflict, match="the stack is up"):
            restore(filled, made, unheard)

    def test_what_is_landed_while_a_backup_is_made_does_not_tear_it(self, tmp_path: Path, empty: Settings) -> None:
        """The ledger is copied first: the backup holds every span that its ledger names, and the audit is equal."""
        settings, source = filled_project(tmp_path / "busy"), stream()

        def land_more(event: Event) -> None:
            if not isinstance(event, BytesCopied):
                return
            source.append("t", 1, 3)
            lander(settings, source).land_topic("t")

        backup_of(settings, tmp_path / "b", emit=land_more)
        restore(empty, tmp_path / "b", unheard)
        ledger = Ledger(empty.ledger_url)
        verdicts = list(audit_topic(MemoryBroker(source), empty.state_dir, spans.committed(ledger, "t")))
        assert [(verdict.outcome, verdict.records) for verdict in verdicts] == [("equal", 25), ("equal", 7)]
        assert len(spans.committed(Ledger(settings.ledger_url), "t")) > len(spans.committed(ledger, "t"))

    @pytest.mark.parametrize("harm", ["lost", "flipped"])
    def test_a_span_that_is_not_as_committed_is_found_now_and_not_when_it_is_needed(
        self, tmp_path: Path, harm: str
    ) -> None:
        settings = filled_project(tmp_path / "broken")
        path = next(settings.state_dir.glob("spans/t/0/0-10-*"))
        path.unlink() if harm == "lost" else path.write_bytes(b"x" + path.read_bytes()[1:])
        with pytest.raises(Corrupt, match=r"0-10-.* is not as committed: run `koboshi ingest repair`, then back up"):
            backup_of(settings, tmp_path / "b")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["broken"]

    def test_a_damaged_database_is_found_now(self, tmp_path: Path) -> None:
        settings = filled_project(tmp_path / "broken")
        database = settings.state_dir / "mlflow" / "mlflow.db"
        database.write_bytes(database.read_bytes()[:4096] + b"\xff" * 4096)
        with pytest.raises(Corrupt, match=r"mlflow\.db is damaged"):
            backup_of(settings, tmp_path / "b")

    def test_what_runs_elsewhere_is_left_out_and_it_says_so(self, filled: Settings, tmp_path: Path) -> None:
        elsewhere = filled.model_copy(
            update={
                "kafka": filled.kafka.model_copy(update={"bootstrap_servers": "broker:9092"}),
                "mlflow": filled.mlflow.model_copy(update={"tracking_uri": "http://mlflow"}),
            }
        )
        said: list[str] = []
        backup_of(elsewhere, tmp_path / "b", emit=in_words(said.append))
        assert said[:2] == [f"Not in the backup: {name} (it runs elsewhere)." for name in ("kafka", "mlflow")]
        held = read_header(tmp_path / "b")["pieces"]
        assert held == ["state/journal", "state/outbox", "state/checkpoints", "state/spans", "state/ledger.db"]


def test_every_refusal_is_permanent() -> None:
    """65: trying again is of no use."""
    assert {error.exit_code for error in (BadInput(), Conflict(), Corrupt(), NotConfigured())} == {65}
