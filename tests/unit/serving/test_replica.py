"""I7: what answers is verified; what cannot be verified is refused, and the old version stays."""

import json
import threading
import time

import pytest
import yaml

from koboshi.errors import BadInput, Corrupt, Unavailable
from koboshi.refs import ModelRef
from koboshi.serving import replica as room
from koboshi.serving.engine import load, verified_artefact
from koboshi.serving.replica import Aliased, Refusal, Replica, wants_loading
from tests.support.artefacts import FolderRegistry, flip_a_byte, recorded_artefact
from tests.support.models import fitted, rows

ONE, TWO = ModelRef("m", 1, "k", "1" * 64), ModelRef("m", 2, "k", "2" * 64)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    """Two recorded versions: folder and digest of each."""
    folder = tmp_path_factory.mktemp("artefacts")
    return [(folder / name, recorded_artefact(folder / name, seed=seed)) for seed, name in enumerate(("one", "two"))]


@pytest.fixture
def registry(artefacts):
    registry = FolderRegistry()
    registry.alias(1, *artefacts[0])
    return registry


@pytest.fixture
def replica(tmp_path, registry):
    return Replica("replica-1", "champion", registry, tmp_path / "serving", load)


@pytest.mark.parametrize(
    ("serving", "refusal", "seen", "wanted"),
    [
        (None, None, ONE, True),
        (ONE, None, ONE, False),
        (ONE, None, TWO, True),
        (ONE, Refusal(TWO, "digest", "", 10.0), TWO, False),
        (ONE, Refusal(TWO, "digest", "", 5.0), TWO, True),
        (ONE, Refusal(TWO, "digest", "", 10.0), ModelRef("m", 2, "k", "3" * 64), True),
    ],
)
def test_what_is_loaded_is_new_and_not_just_refused(serving, refusal, seen, wanted):
    """A version is tried once, then after its time, or when its digest is another one."""
    assert wants_loading(serving, refusal, Aliased(seen, ""), now=5.0) is wanted


def test_a_replica_serves_what_its_slot_points_at_and_follows_it(replica, registry, artefacts):
    """The new version is swapped in; each was fetched once."""
    replica.poll_alias()
    assert replica.status()["version"] == 1
    ref = registry.alias(2, *artefacts[1])
    replica.poll_alias()
    replica.poll_alias()
    assert replica.serving.ref == ref
    assert registry.fetched == [1, 2]
    assert replica.status()["refused"] is None


def test_without_an_alias_there_is_no_model(replica, registry):
    """Nothing was promoted yet; an alias that is taken away later changes nothing."""
    seen, registry.seen = registry.seen, None
    replica.poll_alias()
    assert replica.serving is None
    registry.seen = seen
    replica.poll_alias()
    registry.seen = None
    replica.poll_alias()
    assert replica.serving is not None


def test_a_flipped_byte_is_refused_the_old_version_stays_and_is_not_fetched_again(
    replica, registry, artefacts, tmp_path, monkeypatch, caplog
):
    """I2, I7: the spoilt version is named in the status and in the log, and tried again only after a while."""
    replica.poll_alias()
    bad = tmp_path / "bad"
    digest = recorded_artefact(bad, seed=5)
    flip_a_byte(bad / "model.skops")
    registry.alias(2, bad, digest)
    for _ in range(3):
        replica.poll_alias()
    assert replica.status()["version"] == 1
    assert registry.fetched == [1, 2]
    assert replica.status()["refused"]["version"] == 2
    assert replica.status()["refused"]["cause"] == "digest"
    assert "digest" in replica.status()["refused"]["reason"]
    (refused,) = [vars(record)["event"] for record in caplog.records if "event" in vars(record)]
    assert (refused.name, refused.replica, refused.slot) == ("version refused", "replica-1", "champion")
    assert (refused.version, refused.cause) == (2, "digest")
    assert "version 2 of slot champion is refused" in refused.sentence
    assert replica.serving.checked.holds()

    flip_a_byte(bad / "model.skops")
    clock = time.monotonic() + room.RETRY_REFUSED_S + 1
    monkeypatch.setattr(room.time, "monotonic", lambda: clock)
    replica.poll_alias()
    replica.poll_alias()
    assert (replica.status()["version"], replica.status()["refused"]) == (2, None)


def test_moving_the_alias_back_ends_a_refusal(replica, registry, artefacts):
    """The good version is still there: nothing is fetched, and nothing is refused any more."""
    replica.poll_alias()
    registry.alias(2, artefacts[1][0], "0" * 64)
    replica.poll_alias()
    assert replica.refusal is not None
    registry.alias(1, *artefacts[0])
    replica.poll_alias()
    assert replica.refusal is None
    assert registry.fetched == [1, 2]


def test_a_version_without_a_digest_is_refused(replica, registry, artefacts):
    """What was registered past koboshi cannot be verified."""
    registry.alias(1, artefacts[0][0], "")
    replica.poll_alias()
    assert replica.serving is None
    assert "no recorded digest" in replica.refusal.reason
    assert replica.refusal.cause == "digest"
    assert registry.fetched == []


def test_a_replica_goes_on_while_the_registry_is_away(replica, registry):
    """Serving needs no registry; the status tells that it is away."""
    replica.poll_alias()
    registry.error = Unavailable("MLflow does not answer.")
    replica.poll_alias()
    assert replica.serving is not None
    assert replica.status()["registry"] == "MLflow does not answer."
    registry.error = None
    replica.poll_alias()
    assert replica.status()["registry"] == "reachable"


def test_a_replica_that_starts_while_the_registry_is_away_takes_up_what_it_served(replica, registry, tmp_path):
    """From its own disk, verified as ever."""
    replica.poll_alias()
    registry.error = Unavailable("away")
    again = Replica("replica-1", "champion", registry, tmp_path / "serving", load)
    again.poll_alias()
    assert again.serving.ref == replica.serving.ref
    assert registry.fetched == [1]


def test_a_replica_that_starts_after_its_alias_was_removed_serves_what_it_served_last(
    replica, registry, artefacts, tmp_path, caplog
):
    """And says, once in its log and in its status, that the alias is gone, until it is set again."""
    replica.poll_alias()
    registry.seen = None
    again = Replica("replica-1", "champion", registry, tmp_path / "serving", load)
    for _ in range(3):
        again.poll_alias()
    assert again.serving.ref == replica.serving.ref
    assert (again.status()["alias"], again.status()["alias_gone"]) == (None, True)
    assert [message for message in caplog.messages if "alias champion is gone" in message] == [
        "the alias champion is gone: version 1 goes on answering, until it is set"
    ]
    registry.alias(2, *artefacts[1])
    again.poll_alias()
    assert (again.status()["version"], again.status()["alias"], again.status()["alias_gone"]) == (2, 2, False)


def test_a_registry_that_is_away_is_no_alias_that_is_gone(replica, registry):
    """What is not known is not said."""
    replica.poll_alias()
    registry.error = Unavailable("away")
    replica.poll_alias()
    assert (replica.status()["alias"], replica.status()["alias_gone"]) == (1, False)


@pytest.mark.parametrize(
    ("kept", "served"),
    [({}, 1), ({"slot": "champion"}, 1), ({"slot": "trial"}, None), ({"model": "other"}, None)],
    ids=["written by an older koboshi", "this slot", "another slot", "another model"],
)
def test_only_what_was_served_in_this_slot_of_this_model_is_taken_up(replica, registry, tmp_path, kept, served):
    """A replica that was started for another slot before has nothing to go back to."""
    replica.poll_alias()
    memory = tmp_path / "serving" / "replica-1.json"
    written = json.loads(memory.read_text())
    assert written.pop("slot") == "champion"
    written["ref"]["name"] = kept.get("model", "m")
    memory.write_text(json.dumps({**written, **{name: value for name, value in kept.items() if name == "slot"}}))
    registry.seen = None
    again = Replica("replica-1", "champion", registry, tmp_path / "serving", load)
    again.poll_alias()
    assert again.status()["version"] == served


def test_a_replica_that_starts_on_a_spoilt_champion_takes_up_what_it_served(replica, registry, artefacts, tmp_path):
    """The refusal is remembered while the old version answers: the bad one is not fetched each time."""
    replica.poll_alias()
    registry.alias(2, artefacts[1][0], "0" * 64)
    again = Replica("replica-1", "champion", registry, tmp_path / "serving", load)
    for _ in range(3):
        again.poll_alias()
    assert again.status()["version"] == 1
    assert again.status()["refused"]["version"] == 2
    assert registry.fetched == [1, 2]


def test_a_torn_memory_is_no_memory(replica, registry, tmp_path):
    """What it served last is a convenience: unreadable, it is ignored."""
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "replica-1.json").write_text('{"ref"')
    registry.error = Unavailable("away")
    replica.poll_alias()
    assert replica.serving is None


def test_a_download_that_fails_is_tried_again_at_the_next_look(replica, registry, monkeypatch):
    """An outage is no refusal."""
    fetch = registry.fetch

    def failing(_seen, _folder):
        raise Unavailable("too slow")

    monkeypatch.setattr(registry, "fetch", failing)
    replica.poll_alias()
    assert (replica.serving, replica.refusal) == (None, None)
    monkeypatch.setattr(registry, "fetch", fetch)
    replica.poll_alias()
    assert replica.serving is not None


def test_an_artefact_that_was_spoilt_on_this_disk_is_fetched_again(tmp_path, registry, artefacts):
    """The cache is checked at each use, not only when it is filled."""
    folder, digest = artefacts[0]
    kept = verified_artefact(tmp_path, digest, lambda at: registry.fetch(registry.seen, at), "m 1")
    flip_a_byte(kept / "model.skops")
    assert verified_artefact(tmp_path, digest, lambda at: registry.fetch(registry.seen, at), "m 1") == kept
    assert (kept / "model.skops").read_bytes() == (folder / "model.skops").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".part-")] == []


def test_replicas_that_ask_at_once_share_one_download(tmp_path, registry, artefacts):
    """The second one waits for the first one's result."""
    together = threading.Barrier(4)

    def take():
        together.wait()
        verified_artefact(tmp_path, artefacts[0][1], lambda at: registry.fetch(registry.seen, at), "m 1")

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert registry.fetched == [1]


def test_a_fetched_artefact_with_another_digest_is_not_kept(tmp_path, registry):
    """`Corrupt` names version and digests; the folder stays empty."""
    with pytest.raises(Corrupt, match="m 1"):
        verified_artefact(tmp_path, "0" * 64, lambda at: registry.fetch(registry.seen, at), "m 1")
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".lock")] == []


@pytest.mark.parametrize("kind", ["logistic", "forest", "boosting"])
def test_a_loaded_model_answers_as_the_fitted_one(tmp_path, kind):
    """To the bit, through skops and without MLflow."""
    recorded_artefact(tmp_path / "m", kind)
    table = rows()[0]
    loaded = load(tmp_path / "m").model
    assert loaded.predict(table.to_dict("list")) == fitted(kind).predict_proba(table).tolist()


def test_a_model_that_answers_otherwise_than_recorded_is_refused(tmp_path):
    """A digest that fits is not enough: the libraries of this machine may answer otherwise."""
    recorded_artefact(tmp_path / "m")
    expected = tmp_path / "m" / "expected_predictions.json"
    answers = json.loads(expected.read_text())
    answers["predictions"][0][0] += 1e-16 + answers["predictions"][0][0] * 1e-15
    expected.write_text(json.dumps(answers))
    with pytest.raises(Corrupt, match="recorded example"):
        load(tmp_path / "m")


def _described(folder, change):
    path = folder / "MLmodel"
    description = yaml.safe_load(path.read_text())
    change(description)
    path.write_text(yaml.safe_dump(description))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["flavors"].pop("sklearn"),
        lambda d: d.pop("signature"),
        lambda d: d["flavors"]["sklearn"].update(serialization_format="pickle"),
        lambda d: d["flavors"]["python_function"].update(predict_fn="__reduce__"),
        lambda d: d["flavors"]["sklearn"].update(skops_trusted_types=[]),
        lambda d: d["signature"].update(inputs='[{"type": "datetime", "name": "a"}]'),
    ],
)
def test_a_model_of_another_kind_is_refused_with_a_sentence(tmp_path, change):
    """What is not served is said, not guessed at."""
    recorded_artefact(tmp_path / "m", "forest")
    _described(tmp_path / "m", change)
    with pytest.raises(BadInput, match="record"):
        load(tmp_path / "m")
