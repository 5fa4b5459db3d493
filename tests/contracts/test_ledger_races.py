"""Two real processes at every method of the ledger at once: one outcome wins, no update is lost, nobody is locked out.

The suite is the contract of whatever database a ledger URL names: SQLite, and PostgreSQL where it is installed.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

import koboshi.ledger
from koboshi.ledger import Ledger, LedgerConnection
from tests.support.ledger_races import RACES, Racers, adding, adding_carelessly, held, one_each_is_added
from tests.support.running_stack import UNMEASURED

# They make a ledger what it is before anybody else sees it: "both open" races them.
PART_OF_OPENING = {"tables.bring_up_to_date"}


@pytest.fixture(scope="module")
def racers() -> Iterator[Racers]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in UNMEASURED.items():  # what they call is measured in test_ledger.py
            patch.setenv(name, value)
        racers = Racers()
    yield racers
    racers.close()


@pytest.mark.parametrize("name", RACES)
def test_two_processes_at_once_come_to_a_fair_end(name: str, ledger_url: str, racers: Racers) -> None:
    """I1, I3, I5, I6 and I8 under a race, in each of many rounds; "database is locked" would be an unfair end."""
    race = RACES[name]
    ledger = Ledger(ledger_url)
    for number in range(race.rounds):
        key = f"round {number}"
        outcomes = racers.run(ledger_url, race.contenders, key, race.prepare(ledger, key))
        assert race.fair(ledger, key, outcomes), f"{key}: {outcomes}"
    ledger.close()


def test_every_public_method_is_raced() -> None:
    """A new method of the ledger fails here until there is a race for it."""
    raced = {method for race in RACES.values() for method in race.methods}
    assert raced == _public_methods() - PART_OF_OPENING


def _public_methods() -> set[str]:
    """All that takes a ledger or a connection to it, and the methods of those who have one."""
    found = {f"Ledger.{name}" for name in ("__init__", *_public(Ledger))}
    for module_info in pkgutil.iter_modules(koboshi.ledger.__path__):
        module = importlib.import_module(f"koboshi.ledger.{module_info.name}")
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
                continue
            if inspect.isclass(thing) and _takes_ledger(thing.__init__) and thing is not Ledger:
                found |= {f"{name}.{method}" for method in _public(thing)}
            if inspect.isfunction(thing) and _takes_ledger(thing):
                found.add(f"{module_info.name}.{name}")
    return found


def _public(kind: type) -> list[str]:
    return [name for name, thing in vars(kind).items() if not name.startswith("_") and inspect.isfunction(thing)]


def _takes_ledger(function: object) -> bool:
    hints = inspect.get_annotations(function, eval_str=True) if inspect.isfunction(function) else {}
    return bool({Ledger, LedgerConnection} & set(hints.values()))


def test_a_method_that_reads_in_one_transaction_and_writes_in_another_is_caught(
    ledger_url: str, racers: Racers
) -> None:
    """The control: both have read before one writes, so that one update is lost."""
    ledger = Ledger(ledger_url)
    outcomes = racers.run(ledger_url, (adding_carelessly, adding_carelessly), "k", held(ledger, "k"))
    assert not one_each_is_added(ledger, "k", outcomes)
    outcomes = racers.run(ledger_url, (adding, adding), "l", held(ledger, "l"))
    assert one_each_is_added(ledger, "l", outcomes)
    ledger.close()
