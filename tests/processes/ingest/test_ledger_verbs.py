"""`koboshi ledger rebuild` as a person meets it."""

import subprocess
import sys
from pathlib import Path

from koboshi.ledger import Ledger, spans

KOBOSHI = Path(sys.executable).with_name("koboshi")
KEPT = Path(__file__).parents[2] / "formats" / "kept"


def run(project, *words):
    done = subprocess.run([KOBOSHI, *words], cwd=project, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_it_says_what_it_read_and_what_came_of_it(tmp_path):
    """Then the ledger has rows, and a second rebuild is refused."""
    (tmp_path / "koboshi.toml").write_text(f'state_dir = "{tmp_path}"')
    (tmp_path / "spans").symlink_to(KEPT / "2" / "spans")
    code, said, errors = run(tmp_path, "ledger", "rebuild")
    assert (code, len(said), errors) == (0, 5, [])
    assert said[0].endswith(".parquet: 10 records")
    assert said[-1] == "4 spans with 32 records are committed again; now run `koboshi ingest audit`."
    assert len(spans.committed(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), "readings")) == 4
    code, _, errors = run(tmp_path, "ledger", "rebuild")
    assert (code, errors) == (
        65,
        ["koboshi: the ledger has rows, and is not overwritten: move it away first if it is of no use."],
    )


def test_files_of_an_older_format_need_to_be_told_their_topic(tmp_path):
    (tmp_path / "koboshi.toml").write_text(f'state_dir = "{tmp_path}"')
    (tmp_path / "spans").symlink_to(KEPT / "1" / "spans")
    code, _, errors = run(tmp_path, "ledger", "rebuild")
    assert (code, "give it with --topic-id readings=ID" in errors[0]) == (65, True)
    code, _, errors = run(tmp_path, "ledger", "rebuild", "--topic-id", "readings")
    assert (code, errors) == (65, ["koboshi: --topic-id readings is not TOPIC=ID."])
    assert run(tmp_path, "ledger", "rebuild", "--topic-id", "readings=abc")[0] == 0
    assert spans.committed(Ledger(f"sqlite:///{tmp_path / 'ledger.db'}"), "readings")[0].range.topic_id == "abc"


def test_a_ledger_that_is_empty_or_damaged_is_refused_and_then_rebuilt(tmp_path):
    """Each verb that would go by its rows refuses, and names the remedy; the damaged file is quarantined."""
    (tmp_path / "koboshi.toml").write_text(f'state_dir = "{tmp_path}"\n[ingest]\ntopics = ["readings"]\n')
    (tmp_path / "spans").symlink_to(KEPT / "2" / "spans")
    (tmp_path / "ledger.db").touch()
    code, _, errors = run(tmp_path, "pin")
    assert (code, len(errors), "run `koboshi ledger rebuild`" in errors[0]) == (65, 1, True)
    assert (tmp_path / "ledger.db").read_bytes() == b""
    (tmp_path / "ledger.db").write_bytes(b"no ledger at all" * 1000)
    code, _, errors = run(tmp_path, "train", "history")
    assert (code, "is damaged" in errors[0], "run `koboshi ledger rebuild`" in errors[0]) == (65, True, True)
    code, said, errors = run(tmp_path, "ledger", "rebuild")
    assert (code, len(said), errors) == (0, 6, [])
    [kept] = tmp_path.glob("ledger.db.damaged-*")
    assert said[0] == f"the ledger is damaged: it is kept as {kept}"
    assert run(tmp_path, "pin")[0] == 0
