"""I1 to I5 of one folder, read from its files and its ledger's tables with none of koboshi's code."""

import hashlib
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Record = tuple[int, int, bytes | None, bytes | None, list[tuple[bytes, bytes | None]]]
SPANS = (
    'SELECT topic, "partition", start, "end", state, token, path, sha256, content, records FROM spans ORDER BY 1, 2, 3'
)
BEGINNINGS = 'SELECT topic, "partition", topic_id, start, origin FROM beginnings ORDER BY 1, 2'
STEPS = "SELECT run_key, unit, step, path, sha256, metrics, set_aside, token FROM steps ORDER BY id"
SPAN_TOKENS = """
    SELECT 'land/' || topic || '/' || "partition" AS lease, token FROM spans WHERE state = 'committed'
    ORDER BY lease, committed_at"""
STEP_TOKENS = "SELECT 'training/' || run_key AS lease, token FROM steps ORDER BY lease, id"


@contextmanager
def tables(ledger: Path) -> Iterator[Callable[[str], list[sqlite3.Row]]]:
    """Ask a copy of the ledger, so that looking at what a crash left does not mend it; no table has no rows."""
    with tempfile.TemporaryDirectory() as folder:
        for file in ledger.parent.glob(f"{ledger.name}*"):
            shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / ledger.name)) as connection:
            connection.row_factory = sqlite3.Row
            names = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master")}
            yield lambda query: list(connection.execute(query)) if {"spans", "steps", "leases"} <= names else []


def span_violations(state_dir: Path, stream: Sequence[Record]) -> list[str]:
    """What is wrong with the spans of a partition that holds `stream`, from offset 0 without holes."""
    with tables(state_dir / "ledger.db") as ask:
        spans, wrong = ask(SPANS), _late_tokens(ask, SPAN_TOKENS)
    wrong += [f"I1: {b['start']} follows on {a['end']}" for a, b in pairwise(spans) if a["end"] != b["start"]]
    committed = [span for span in spans if span["state"] == "committed"]
    if spans[: len(committed)] != committed:
        wrong.append("I1: a planned span lies before a committed one")
    for span in committed:
        wrong += _wrong_span(state_dir, span, stream[span["start"] : span["end"]])
    return wrong


def step_violations(state_dir: Path, states: Sequence[bytes]) -> list[str]:
    """What is wrong with the steps of a run of one unit; `states[n]` is the undisturbed state after step n."""
    with tables(state_dir / "ledger.db") as ask:
        rows, wrong = ask(STEPS), _late_tokens(ask, STEP_TOKENS)
    counted = [row for row in rows if row["set_aside"] is None]
    if [row["step"] for row in counted] != list(range(1, len(counted) + 1)):
        wrong.append(f"I5: steps {[row['step'] for row in counted]} are committed")
    for row in counted[-3:]:
        wrong += _wrong_file(state_dir / "checkpoints" / row["path"], row["sha256"])
    if counted and not wrong:
        newest = state_dir / "checkpoints" / counted[-1]["path"]
        if newest.read_bytes() != states[counted[-1]["step"]]:
            wrong.append(f"I5: step {counted[-1]['step']} is not the undisturbed one")
    return wrong


def _late_tokens(ask: Callable[[str], list[sqlite3.Row]], query: str) -> list[str]:
    """I3: under one lease tokens never fall, and none is newer than the newest that was given out."""
    newest = {row["name"]: row["token"] for row in ask("SELECT name, token FROM leases")}
    rows = ask(query)
    wrong = [f"I3: token {row['token']} was never given out" for row in rows if row["token"] > newest[row["lease"]]]
    return wrong + [
        f"I3: token {b['token']} committed after {a['token']}"
        for a, b in pairwise(rows)
        if a["lease"] == b["lease"] and b["token"] < a["token"]
    ]


def _wrong_file(path: Path, sha256: str) -> list[str]:
    if not path.exists():
        return [f"I2: {path.name} is committed and not there"]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return [] if found == sha256 else [f"I2: {path.name} is {found[:12]}, committed was {sha256[:12]}"]


def _wrong_span(state_dir: Path, span: sqlite3.Row, expected: Sequence[Record]) -> list[str]:
    path = state_dir / span["path"]
    if wrong := _wrong_file(path, span["sha256"]):
        return wrong
    found = list(_records(path))
    if [record[0] for record in found] != [record[0] for record in expected]:
        return [f"I1: {path.name} holds offsets {[record[0] for record in found]}"]
    if found != list(expected) or span["content"] != _content(expected) or span["records"] != len(expected):
        return [f"I4: {path.name} does not hold what the stream holds"]
    return []


def _records(path: Path) -> Iterator[Record]:
    rows: Iterable[dict[str, Any]] = pq.ParquetFile(path).read(use_threads=False).to_pylist()
    for row in rows:
        headers = [(header["name"], header["value"]) for header in row["headers"]]
        yield row["offset"], row["timestamp_ms"], row["key"], row["value"], headers


def _content(records: Sequence[Record]) -> str:
    """The sum of the records' SHA-256, lane by lane of 64 bits, reckoned here once more."""
    lanes = [0, 0, 0, 0]
    for offset, _, key, value, _ in records:
        lengths = (0xFFFFFFFF if part is None else len(part) for part in (key, value))
        digest = hashlib.sha256(struct.pack("<qII", offset, *lengths) + (key or b"") + (value or b"")).digest()
        lanes = [(lane + more) % 2**64 for lane, more in zip(lanes, struct.unpack("<4Q", digest), strict=True)]
    return struct.pack("<4Q", *lanes).hex()
