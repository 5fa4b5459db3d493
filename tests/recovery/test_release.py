"""I8: a release completes or is taken back, whatever write it was interrupted after."""

import pytest

from koboshi.errors import Conflict, LeaseTaken, Transient
from koboshi.events import AliasMoved
from koboshi.ledger import Ledger, intents, leases
from koboshi.refs import ModelRef
from koboshi.registry import release as room
from koboshi.registry.release import release, settle_slot

SLOT, NAME = "champion", "fraud@champion"


class Killed(BaseException):
    """What a crash looks like from inside: nothing catches it."""


class Registry:
    """An alias store in memory."""

    name = "fraud"

    def __init__(self, alias=3, versions=(3, 4, 5)):
        self.alias, self.versions = alias, set(versions)

    def aliased(self, alias):
        assert alias == SLOT
        return self.alias

    def point(self, alias, version):
        assert alias == SLOT
        self.alias = version

    def version(self, number):
        return ModelRef(self.name, number, "k", "s") if number in self.versions else None


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield ledger
    ledger.close()


@pytest.fixture
def writes(monkeypatch):
    """Counts the writes of a release, and kills before or after the chosen one."""

    class Writes:
        done, kill_at, after = 0, None, False

    def counted(function):
        def call(*arguments, **options):
            if Writes.done == Writes.kill_at and not Writes.after:
                Writes.kill_at = None
                raise Killed
            result = function(*arguments, **options)
            if Writes.done == Writes.kill_at:
                Writes.kill_at = None
                raise Killed
            Writes.done += 1
            return result

        return call

    monkeypatch.setattr(Registry, "point", counted(Registry.point))
    monkeypatch.setattr(room, "open_intent", counted(intents.open_intent))
    monkeypatch.setattr(room, "settle", counted(intents.settle))
    return Writes


def _released(ledger, registry):
    settle_slot(ledger, registry, SLOT)
    return release(ledger, registry, SLOT, registry.aliased(SLOT), 4)


def test_killed_before_or_after_any_write_the_next_release_ends_the_same(ledger, writes, tmp_path):
    """From every interrupted state, one more release leaves the alias moved, no intent open, and one story."""
    _released(ledger, Registry())
    total = writes.done
    assert total >= 4  # adopted the first alias, opened, moved, settled
    for kill_at in range(total):
        for after in (False, True):
            fresh, registry = Ledger(f"sqlite:///{tmp_path / f'{kill_at}-{after}.db'}"), Registry()
            writes.done, writes.kill_at, writes.after = 0, kill_at, after
            with pytest.raises(Killed):
                _released(fresh, registry)
            leases.release(fresh, leases.acquire(fresh, f"release {NAME}", "test", 1.0))
            assert _released(fresh, registry).version == 4
            assert registry.alias == 4
            assert intents.opened(fresh, NAME) is None
            assert intents.last_done(fresh, NAME).wanted == 4
            fresh.close()


def test_an_interrupted_release_is_taken_back_when_the_alias_was_moved_meanwhile(ledger):
    """A move by hand during the interruption wins, and is recorded."""
    registry = Registry()
    settle_slot(ledger, registry, SLOT)
    intents.open_intent(ledger, NAME, 3, 4)
    registry.alias = 5
    state = settle_slot(ledger, registry, SLOT)
    assert state.version == 5
    assert any("taken back" in told for told in state.repaired)
    assert any("moved by hand from version 3 to version 5" in told for told in state.repaired)
    assert intents.last_done(ledger, NAME).wanted == 5


def test_an_interrupted_release_of_a_deleted_version_is_taken_back(ledger):
    """A version that is gone is not pointed at."""
    registry = Registry(versions=(3,))
    settle_slot(ledger, registry, SLOT)
    intents.open_intent(ledger, NAME, 3, 4)
    assert settle_slot(ledger, registry, SLOT).version == 3
    assert intents.opened(ledger, NAME) is None


def test_a_move_by_hand_is_adopted_once(ledger):
    """It is told once; after that it is simply where the alias is."""
    registry = Registry()
    assert settle_slot(ledger, registry, SLOT).repaired == ("moved by hand from nothing to version 3",)
    assert settle_slot(ledger, registry, SLOT).repaired == ()


def test_sinks_hear_of_each_move_of_the_alias_and_of_nothing_else(ledger, monkeypatch):
    """A release that finds the slot as it wants it moves nothing, and says nothing."""
    heard = []
    monkeypatch.setattr(room, "open_sinks", lambda: heard.append)
    registry = Registry()
    _released(ledger, registry)
    _released(ledger, registry)
    assert heard == [AliasMoved(model="fraud", slot=SLOT, before=3, version=4)]
    assert str(heard[0]) == "fraud: the alias champion moved from version 3 to version 4."
    assert "from nothing to" in str(AliasMoved(model="fraud", slot=SLOT, before=None, version=4))


def test_an_alias_that_was_removed_by_hand_can_be_set_again(ledger):
    """No alias is a state like any other."""
    registry = Registry()
    _released(ledger, registry)
    registry.alias = None
    state = settle_slot(ledger, registry, SLOT)
    assert state.version is None
    assert "to nothing" in state.repaired[0]
    assert release(ledger, registry, SLOT, None, 5).version == 5


def test_who_compared_with_an_old_champion_has_to_compare_again(ledger):
    """The verdict was about another champion: 75, so that it is tried again."""
    registry = Registry()
    with pytest.raises(Transient, match="compare"):
        release(ledger, registry, SLOT, 5, 4)
    assert registry.alias == 3


def test_releasing_what_is_served_changes_nothing(ledger):
    """The second promotion of a version is no move."""
    registry = Registry(alias=4)
    assert release(ledger, registry, SLOT, 3, 4).version == 4


def test_one_release_of_a_slot_at_a_time(ledger):
    """While another holds the slot's lease, a release is to be tried later."""
    leases.acquire(ledger, f"release {NAME}", "another", 60.0)
    with pytest.raises(LeaseTaken):
        settle_slot(ledger, Registry(), SLOT)


def test_an_alias_that_does_not_move_is_told(ledger, monkeypatch):
    """A registry that takes the request and does nothing is not believed."""
    registry = Registry()
    monkeypatch.setattr(registry, "point", lambda _alias, _version: None)
    with pytest.raises(Conflict, match="did not move"):
        release(ledger, registry, SLOT, 3, 4)
