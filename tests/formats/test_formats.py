"""What was kept from earlier formats is read by today's code; what is newer is refused with a sentence."""

import dataclasses
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from koboshi.backup.restoring import restore
from koboshi.datasets import span_records
from koboshi.drills.report import read as drill_report
from koboshi.errors import Corrupt, KoboshiError, NotConfigured
from koboshi.events import StepStarted, Unknown, unheard
from koboshi.files import sha256_of, tree_digest
from koboshi.formats import cut, manifest
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.landing import Lander
from koboshi.ingest.rebuild import rebuild_spans
from koboshi.journal import Journal
from koboshi.ledger import Ledger, intents, leases, spans, steps, tables
from koboshi.ledger.tables import FORMAT_VERSION
from koboshi.registry.outbox import Entry, Outbox
from koboshi.registry.progress import StepRecord
from koboshi.training.checkpoints import read_checkpoint
from tests.formats.keep import RUN
from tests.support.backed_up import CHECKPOINT, empty_project
from tests.support.backed_up import stream as backed_up_stream
from tests.support.chain_unit import straight
from tests.support.memory_stream import MemoryBroker, MemoryStream
from tests.support.racing import at_once
from tests.support.trainings import TABLE

KEPT = Path(__file__).parent / "kept"
EACH = sorted(path.name for path in KEPT.iterdir() if path.name.isdigit())
BACKUPS = sorted(KEPT.glob("*.backup"))
DATABASE_FILES = frozenset({"ledger.db", "ledger.db-wal", "ledger.db-shm"})


def unpack(name: str, folder: Path) -> Path:
    """A state folder as it was kept, its ledger a database again."""
    shutil.copytree(KEPT / name, folder)
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        connection.executescript((folder / "ledger.sql").read_text())
    return folder


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


def rows_of(folder: Path) -> list[str]:
    """Everything in the ledger, its tables too."""
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        return list(connection.iterdump())


@pytest.fixture(params=EACH)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpack(request.param, tmp_path / "state")


@pytest.fixture
def newest(tmp_path: Path) -> Path:
    return unpack(EACH[-1], tmp_path / "state")


@pytest.fixture
def stream() -> MemoryStream:
    """The stream that the kept spans were landed from."""
    stream = MemoryStream()
    stream.make("readings", 25, 7)
    return stream


def test_spans_are_read_by_datasets_and_audit_and_landed_on(kept: Path, stream: MemoryStream) -> None:
    """Also a ledger whose spans have both formats."""
    ledger = Ledger(url_of(kept))
    pinned = cut.read(kept / "cut.json")
    assert pinned is not None
    assert sum(len(batch.offsets) for batch in span_records.read(ledger, kept, pinned)) == 32
    stream.append("readings", 1, 5)
    Lander(ledger, stream, kept, "us", span_records=10).land_topic("readings")
    begun = spans.beginnings(ledger, "readings")
    assert [(one.partition, one.start) for one in begun.values()] == [(0, 0), (1, 0)]
    verdicts = list(audit_topic(MemoryBroker(stream), kept, spans.committed(ledger, "readings"), begun))
    assert [(verdict.outcome, verdict.records) for verdict in verdicts] == [("equal", 25), ("equal", 12)]


@pytest.mark.parametrize("name", [name for name in EACH if int(name) >= 3])
def test_where_landing_began_is_read(name: str, tmp_path: Path) -> None:
    """From the ledger's third format on, also where nothing was left to land."""
    ledger = Ledger(url_of(unpack(name, tmp_path / "state")))
    [late] = spans.beginnings(ledger, "late").values()
    assert (late.start, late.origin) == (5, "landing")
    assert spans.committed(ledger, "late") == []


def test_training_and_releases_go_on_where_they_were(kept: Path) -> None:
    ledger = Ledger(url_of(kept))
    [step] = steps.committed(ledger, RUN, "a")
    assert (dict(step.metrics), step.checkpoint.step) == ({"loss": 0.5}, 1)
    assert read_checkpoint(kept / "checkpoints", step.checkpoint) == straight("a", TABLE, 1)
    assert intents.claim(ledger, RUN) == intents.Attempt(RUN, 2, "open")
    assert leases.acquire(ledger, f"training/{RUN}", "us", 60).token == 2
    assert intents.opened(ledger, "m@champion") == intents.Intent(2, "m@champion", 1, 2)
    journal = Journal(kept / "journal.jsonl")
    assert [event["event"] for event in journal.events()] == ["step started", "recovered"]
    started, told_less = (entry.event for entry in journal.entries())
    assert isinstance(started, StepStarted)
    assert (started.run, started.unit, started.step) == (RUN, "a", 1)
    assert isinstance(told_less, Unknown), "no driver wrote it: a recovery names its worker, and how long it took"


def test_a_dataset_is_opened(kept: Path) -> None:
    assert manifest.open_verified(kept / "dataset").files == ("rows.csv",)


def test_span_files_are_enough_for_a_ledger(kept: Path) -> None:
    """Format 1 does not tell the topic's id: then it has to be given."""
    before = spans.committed(Ledger(url_of(kept)), "readings")
    fresh = Ledger(f"sqlite:///{kept / 'fresh.db'}")
    given = {"readings": before[0].range.topic_id} if _format(kept) == 1 else {}
    assert rebuild_spans(fresh, kept, given, lambda _: None) == before


def _format(kept: Path) -> int:
    schema = pq.read_schema(next(kept.glob("spans/*/*/*.parquet")))
    return int(schema.metadata[b"koboshi.span"])


@pytest.mark.parametrize("name", sorted(path.name for path in (KEPT / "drills").iterdir()))
def test_a_drills_journal_is_read(name: str) -> None:
    """Format 1 knew one strike, and measures of other names."""
    report = drill_report(KEPT / "drills" / name)
    assert (report.drill, report.outcome.verdict, report.took_s) == ("ray-worker-killed", "proved", 20.5)
    assert report.outcome.evidence.measures == {"detected_after_s": 0.04, "recovered_after_s": 0.31, "redone": 1.0}
    assert [(found.pid, found.took) for found in report.outcome.injections] == [(4711, True)]


@pytest.mark.parametrize("entry", Outbox(KEPT / "outbox").entries(), ids=lambda entry: entry.path.name[-7:-4])
def test_an_entry_of_the_outbox_is_read(entry: Entry) -> None:
    kept = Outbox(KEPT / "outbox").read(entry)
    [unit] = kept.units
    assert (kept.experiment, kept.key, kept.params) == ("readings", RUN, {"threads": "1"})
    assert unit.steps == [StepRecord(1, {"loss": 0.5}, 1_795_500_000.25)]
    assert (unit.name, unit.params, unit.recoveries) == ("a", {"depth": "3"}, ["step 1 again"])
    assert (unit.model, unit.example) == ("a model", "its rows")


@pytest.mark.parametrize("backup", BACKUPS, ids=lambda path: path.stem)
def test_a_backup_is_restored(backup: Path, tmp_path: Path) -> None:
    """With everything in it; its ledger is brought up to date on the way."""
    settings = empty_project(tmp_path)
    restore(settings, backup, unheard)
    landed = spans.committed(Ledger(settings.ledger_url), "t")
    verdicts = list(audit_topic(MemoryBroker(backed_up_stream()), settings.state_dir, landed))
    assert [(verdict.outcome, verdict.records) for verdict in verdicts] == [("equal", 25), ("equal", 7)]
    assert (settings.state_dir / "checkpoints" / CHECKPOINT).read_bytes() == b"state" * 99


class TestMigrations:
    def test_there_is_a_step_to_every_version(self) -> None:
        assert list(tables.STEPS) == list(range(2, FORMAT_VERSION + 1))

    def test_a_migrated_ledger_has_the_columns_of_a_new_one(self, kept: Path, tmp_path: Path) -> None:
        Ledger(url_of(kept))
        Ledger(url_of(tmp_path))
        assert columns(kept) == columns(tmp_path)

    def test_no_row_is_lost(self, tmp_path: Path) -> None:
        folder = unpack("1", tmp_path / "state")
        before = [line for line in rows_of(folder) if line.startswith("INSERT")]
        Ledger(url_of(folder))
        after = [line for line in rows_of(folder) if line.startswith("INSERT")]
        made = ('INSERT INTO "koboshi_versions"', 'INSERT INTO "beginnings"')
        assert [x for x in before if not x.startswith(made)] == [x for x in after if not x.startswith(made)]

    def test_a_migration_that_fails_half_way_changes_nothing(self, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        folder = unpack("1", tmp_path / "state")
        before = rows_of(folder)

        def half(connection):  # type: ignore[no-untyped-def]
            tables._to_2(connection)
            raise ZeroDivisionError

        monkeypatch.setattr(tables, "STEPS", {2: half})
        with pytest.raises(ZeroDivisionError):
            Ledger(url_of(folder))
        assert rows_of(folder) == before

    def test_many_at_once_migrate_once(self, tmp_path: Path) -> None:
        folder = unpack("1", tmp_path / "state")
        assert at_once(_open, url_of(folder), 4) == [4] * 4
        assert f'INSERT INTO "koboshi_versions" VALUES({FORMAT_VERSION},1);' in rows_of(folder)

    def test_an_older_koboshi_refuses_a_newer_ledger(self, newest: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        monkeypatch.setattr(tables, "FORMAT_VERSION", FORMAT_VERSION - 1)
        with pytest.raises(NotConfigured, match=rf"has format {FORMAT_VERSION}, this koboshi knows .*: upgrade"):
            Ledger(url_of(newest))


def _open(url: str) -> int:
    return len(spans.committed(Ledger(url), "readings"))


def columns(folder: Path) -> dict[str, list[tuple[str, ...]]]:
    """Name, type, not null and place in the key of each column; SQLite takes every kind of INT for one."""
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY type, name")]
        described = {table: connection.execute(f'PRAGMA table_info("{table}")').fetchall() for table in tables}
    return {
        table: [(name, kind.replace("BIGINT", "INTEGER"), notnull, key) for _, name, kind, notnull, _, key in rows]
        for table, rows in described.items()
    }


def newer_ledger(folder: Path) -> Callable[[], object]:
    with closing(sqlite3.connect(folder / "ledger.db")) as connection, connection:
        connection.execute("UPDATE koboshi_versions SET format_version = 99")
    return lambda: Ledger(url_of(folder))


def _newer_span(folder: Path) -> None:
    """The first span's file says format 99, and the ledger names it."""
    [first, *_] = spans.committed(Ledger(url_of(folder)), "readings")
    table = pq.read_table(folder / first.path)
    (folder / first.path).unlink()
    path = (folder / first.path).with_name("new")
    pq.write_table(table.replace_schema_metadata({"koboshi.span": "99"}), path)
    sha256 = sha256_of(path)
    renamed = path.rename(path.with_name(f"0-10-{sha256[:16]}.parquet"))
    with closing(sqlite3.connect(folder / "ledger.db")) as connection, connection:
        values = (renamed.relative_to(folder).as_posix(), sha256, first.path)
        connection.execute("UPDATE spans SET path = ?, sha256 = ? WHERE path = ?", values)


def newer_span_in_a_dataset(folder: Path) -> Callable[[], object]:
    _newer_span(folder)
    pinned, ledger = cut.read(folder / "cut.json"), Ledger(url_of(folder))
    assert pinned is not None
    return lambda: list(span_records.read(ledger, folder, pinned))


def newer_span_in_an_audit(folder: Path) -> Callable[[], object]:
    _newer_span(folder)
    stream, landed = MemoryStream(), spans.committed(Ledger(url_of(folder)), "readings")
    stream.make("readings", 25, 7)
    return lambda: list(audit_topic(MemoryBroker(stream), folder, landed))


def newer_span_in_a_rebuild(folder: Path) -> Callable[[], object]:
    _newer_span(folder)
    fresh = Ledger(f"sqlite:///{folder.parent / 'fresh.db'}")
    return lambda: rebuild_spans(fresh, folder, {}, lambda _: None)


def newer_cut(folder: Path) -> Callable[[], object]:
    pinned = json.loads((folder / "cut.json").read_text())
    (folder / "cut.json").write_text(json.dumps({**pinned, "format": 99, "headers": {}}))
    return lambda: cut.read(folder / "cut.json")


def newer_manifest(folder: Path) -> Callable[[], object]:
    path = folder / "dataset" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    return lambda: manifest.open_verified(folder / "dataset")


def newer_checkpoint(folder: Path) -> Callable[[], object]:
    [step] = steps.committed(Ledger(url_of(folder)), RUN, "a")
    later = dataclasses.replace(step.checkpoint, path=step.checkpoint.path.replace(".v1.", ".v99."))
    (folder / "checkpoints" / step.checkpoint.path).rename(folder / "checkpoints" / later.path)
    return lambda: read_checkpoint(folder / "checkpoints", later)


def newer_outbox(folder: Path) -> Callable[[], object]:
    shutil.copytree(KEPT / "outbox", folder / "outbox")
    [path] = (folder / "outbox").glob("*.v1.zip")
    path.rename(path.with_name(path.name.replace(".v1.", ".v99.")))
    return Outbox.of(folder).entries


def newer_journal(folder: Path) -> Callable[[], object]:
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"v": 99, "what": "recovered"}\n')
    return lambda: list(Journal(folder / "journal.jsonl").events())


def newer_drill_journal(folder: Path) -> Callable[[], object]:
    fields = json.loads((KEPT / "drills" / "2.json").read_text())
    (folder / "drill.json").write_text(json.dumps({**fields, "format": 99}))
    return lambda: drill_report(folder / "drill.json")


@pytest.mark.parametrize(
    "newer",
    [
        newer_ledger,
        newer_span_in_a_dataset,
        newer_span_in_an_audit,
        newer_span_in_a_rebuild,
        newer_cut,
        newer_manifest,
        newer_checkpoint,
        newer_outbox,
        newer_journal,
        newer_drill_journal,
    ],
)
def test_what_is_newer_is_refused_with_a_sentence_and_stays_as_it_is(
    newest: Path, newer: Callable[[Path], Callable[[], object]]
) -> None:
    """Exit 65, the format that was found, and what to do."""
    read = newer(newest)
    before = tree_digest(newest, without=DATABASE_FILES), rows_of(newest)
    with pytest.raises(
        KoboshiError, match=r"has (\w+ )?format 99, this koboshi knows \d: upgrade koboshi\.$"
    ) as refused:
        read()
    assert refused.value.exit_code == 65
    assert (tree_digest(newest, without=DATABASE_FILES), rows_of(newest)) == before


def test_a_command_says_so_in_one_line(newest: Path, tmp_path: Path) -> None:
    newer_ledger(newest)
    (tmp_path / "koboshi.toml").write_text(f'state_dir = "{newest}"\n[ingest]\ntopics = ["readings"]\n')
    koboshi = Path(sys.executable).with_name("koboshi")
    done = subprocess.run([koboshi, "pin"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (65, 1)
    assert done.stderr.endswith(f"has format 99, this koboshi knows {FORMAT_VERSION}: upgrade koboshi.\n")


@pytest.mark.parametrize("harm", ["overwritten", "torn"])
def test_a_damaged_ledger_is_named_with_both_ways_out(newest: Path, harm: str) -> None:
    """A flipped page is found when it is read; what is no database is found at once."""
    database = newest / "ledger.db"
    data = bytearray(database.read_bytes())
    data[:100] = b"x" * 100 if harm == "overwritten" else data[:100]
    data[100:3000] = b"\xff" * 2900
    database.write_bytes(data)
    with pytest.raises(Corrupt, match="restore a backup, or run `koboshi ledger rebuild`, which"):
        spans.committed(Ledger(url_of(newest)), "readings")
