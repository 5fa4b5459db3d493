"""The outbox as files: whole or not there, in order, checked before they are read."""

import json
import os
import pickle
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from koboshi.cli import app
from koboshi.errors import BadInput, Conflict, Corrupt
from koboshi.registry.outbox import Outbox
from koboshi.registry.progress import StepRecord, TrainingRecord, UnitRecord

KEY = "ab" * 32


def training(key: str = KEY, model: object = "a model") -> TrainingRecord:
    steps = [StepRecord(1, {"loss": 0.1 + 0.2}, 1_800_000_000.123), StepRecord(2, {"loss": 0.25}, 1_800_000_001.5)]
    unit = UnitRecord("forest", {"depth": 3, "rate": 1e-4}, steps, ["step 2 again"], model, "some rows")  # type: ignore[arg-type]
    return TrainingRecord("an experiment", key, {"threads": 1}, [unit])


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox.of(tmp_path)


def test_what_comes_out_is_what_went_in(outbox: Outbox) -> None:
    """To the bit; parameters are words, as MLflow keeps them."""
    entry = outbox.add(training())
    [unit] = training().units
    kept = outbox.read(entry)
    assert (kept.experiment, kept.key, kept.params) == ("an experiment", KEY, {"threads": "1"})
    assert kept.units[0].params == {"depth": "3", "rate": "0.0001"}
    assert (kept.units[0].steps, kept.units[0].recoveries) == (unit.steps, unit.recoveries)
    assert (kept.units[0].model, kept.units[0].example) == ("a model", "some rows")


def test_the_same_training_is_the_same_file_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name has the digest of its bytes, which may not depend on the time of day."""
    names = []
    for number, at in enumerate((1_800_000_000.0, 1_800_010_000.0)):
        monkeypatch.setattr(time, "time", lambda at=at: at)
        names.append(Outbox.of(tmp_path / str(number)).add(training()).path.name)
    assert names[0] == names[1]


def test_entries_come_in_the_order_in_which_they_were_added(outbox: Outbox) -> None:
    """Also after earlier ones have gone; what is removed is not there any more."""
    keys = ["cc" * 32, "aa" * 32, "bb" * 32]
    first, *_ = [outbox.add(training(key)) for key in keys]
    assert [entry.key for entry in outbox.entries()] == [key[:16] for key in keys]
    outbox.remove(first)
    outbox.remove(first)
    outbox.add(training("99" * 32))
    assert [entry.key[:2] for entry in outbox.entries()] == ["aa", "bb", "99"]


def test_a_training_waits_once(outbox: Outbox) -> None:
    """The same key again adds nothing, unless the one that waits is harmed."""
    entry = outbox.add(training())
    assert outbox.add(training(model="the same, pickled otherwise")) == entry
    entry.path.write_bytes(b"harmed")
    again = outbox.add(training())
    assert again.number == entry.number + 1
    assert outbox.read(again).key == KEY


def test_a_flipped_byte_is_found_before_anything_is_unpickled(outbox: Outbox) -> None:
    entry = outbox.add(training())
    data = bytearray(entry.path.read_bytes())
    data[len(data) // 2] ^= 1
    entry.path.write_bytes(bytes(data))
    with pytest.raises(Corrupt, match="run the train stage again"):
        outbox.read(entry)
    outbox.quarantine(entry, "its bytes differ")
    assert outbox.entries() == []
    assert outbox.refused() == {entry.path.stem: "its bytes differ"}
    assert (outbox.folder / "refused" / entry.path.name).read_bytes() == bytes(data)


class Vanishing:
    """A class that is not there any more when its pickle is read."""


def test_a_model_whose_class_is_not_here_is_one_sentence(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("gone")
    module.__dict__["Vanishing"] = Vanishing
    monkeypatch.setattr(Vanishing, "__module__", "gone")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gone", module)
        entry = outbox.add(training(model=Vanishing()))
    with pytest.raises(Conflict, match="deliver it where it was trained"):
        outbox.read(entry)


def test_a_newer_format_is_refused_and_stays(outbox: Outbox) -> None:
    entry = outbox.add(training())
    newer = entry.path.rename(entry.path.with_name(entry.path.name.replace(".v1.", ".v99.")))
    for read in (outbox.entries, lambda: outbox.add(training())):
        with pytest.raises(BadInput, match=r"has format 99, this koboshi knows 1: upgrade koboshi\.$"):
            read()
    assert newer.exists()
    newer.rename(newer.with_name("notes.zip"))
    with pytest.raises(BadInput, match="no entry of the outbox"):
        outbox.entries()


def test_what_a_kill_left_half_written_is_no_entry_and_goes_after_an_hour(outbox: Outbox) -> None:
    outbox.add(training())
    old, new = outbox.folder / ".part-old", outbox.folder / ".part-new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    outbox.add(training("cd" * 32))
    assert len(outbox.entries()) == 2
    assert (old.exists(), new.exists()) == (False, True)


def test_an_entry_can_be_looked_into_by_hand(outbox: Outbox) -> None:
    """A ZIP archive with a record that a person can read."""
    with zipfile.ZipFile(outbox.add(training()).path) as archive:
        assert json.loads(archive.read("record.json"))["units"][0]["steps"][1]["metrics"] == {"loss": 0.25}
        assert pickle.loads(archive.read("0.pickle")) == ("a model", "some rows")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "koboshi.toml").write_text("")
    monkeypatch.setenv("KOBOSHI_PROJECT", str(tmp_path))
    monkeypatch.delenv("KOBOSHI_STATE_DIR", raising=False)
    return tmp_path


def test_status_says_what_waits_and_what_was_quarantined(project: Path) -> None:
    told = CliRunner().invoke(app, ["outbox", "status"])
    assert (told.exit_code, told.output) == (0, "Nothing waits for MLflow.\n")
    outbox = Outbox.of(project / ".koboshi")
    outbox.quarantine(outbox.add(training("cd" * 32)), "MLflow refuses")
    entry = outbox.add(training())
    said = CliRunner().invoke(app, ["outbox", "status"]).output
    assert f"training {KEY[:16]}" in said
    assert "koboshi outbox deliver" in said
    assert ": MLflow refuses" in said
    fields = json.loads(CliRunner().invoke(app, ["outbox", "status", "--json"]).output)
    assert [found["path"] for found in fields["waiting"]] == [str(entry.path)]
    assert list(fields["refused"].values()) == ["MLflow refuses"]
