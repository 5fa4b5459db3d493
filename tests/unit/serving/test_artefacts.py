"""The cache of artefacts does not grow for ever, and lets go of nothing that somebody would go back to."""

import os
import time

import pytest

from koboshi.errors import BadInput
from koboshi.refs import ModelRef
from koboshi.serving.engine import KEPT_S, load, sweep, verified_artefact
from koboshi.serving.replica import Replica
from tests.support.artefacts import FolderRegistry, recorded_artefact


def _age(path):
    long_ago = time.time() - KEPT_S - 60
    os.utime(path, (long_ago, long_ago))


@pytest.mark.parametrize("digest", ["..", "../../escape", "/tmp/x", ""])
def test_a_digest_from_the_registry_that_leads_elsewhere_is_refused(tmp_path, digest):
    """A tag of MLflow is text from outside: nothing is made or locked where it leads."""
    with pytest.raises(BadInput, match="the digest of m 1"):
        verified_artefact(tmp_path / "models", digest, lambda at: at, "m 1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../up", "/tmp/x", "a/b", "\0"])
def test_a_replica_has_a_name_that_is_a_file(tmp_path, name):
    with pytest.raises(BadInput, match="the replica's name"):
        Replica(name, "champion", FolderRegistry(), tmp_path, load)


def test_what_nobody_serves_and_nobody_took_for_a_while_is_removed(tmp_path):
    """Old ones, and what a killed download left; neither what is served, nor what was taken just now, nor locks."""
    for name in ("old", "served", "recent", ".part-torn"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "MLmodel").write_text("x")
    (tmp_path / ".lock-old").touch()
    for name in ("old", "served", ".part-torn", ".lock-old"):
        _age(tmp_path / name)
    assert sweep(tmp_path, {"served"}) == [".part-torn", "old"]
    assert {path.name for path in tmp_path.iterdir()} == {"served", "recent", ".lock-old"}
    assert sweep(tmp_path / "absent", set()) == []


def test_a_replica_lets_go_of_a_version_that_no_replica_served_last(tmp_path):
    """Three versions follow on each other: the one that the other replica still has stays, that between goes."""
    registry, folder = FolderRegistry(), tmp_path / "serving"
    made = [(tmp_path / str(n), recorded_artefact(tmp_path / str(n), seed=n)) for n in range(3)]
    first, second = (Replica(name, "champion", registry, folder, load) for name in ("replica-1", "replica-2"))
    registry.alias(1, *made[0])
    first.poll_alias()
    second.poll_alias()
    for version, replica in ((2, first), (3, first)):
        registry.alias(version, *made[version - 1])
        for path in (folder / "models").glob("*"):
            _age(path)
        replica.poll_alias()
    assert first.serving is not None
    assert first.serving.ref == ModelRef("m", 3, "key", made[2][1])
    kept = {path.name for path in (folder / "models").iterdir() if path.is_dir()}
    assert kept == {made[0][1], made[2][1]}
    second.poll_alias()
    assert second.serving is not None
    assert second.serving.ref.version == 3
