"""Two real processes at one method of the ledger at the same moment: what each does, and what may come of it.

A contender gets the ledger, the round's own key and what `prepare` left, and returns its outcome in a word; an error of
koboshi's is its class's name. `fair` looks at both outcomes and the ledger, and says whether that was a fair end.
"""

import dataclasses
import multiprocessing
import random
import time
from collections.abc import Callable
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import sqlalchemy as sa

from koboshi.errors import KoboshiError
from koboshi.ledger import Ledger, database, intents, leases, spans, steps
from koboshi.ledger.leases import HeldLease, holding
from koboshi.ledger.tables import leases as leases_table
from koboshi.ledger.tables import metadata, versions
from koboshi.ledger.tables import steps as steps_table
from koboshi.refs import Beginning, CheckpointRef, SpanRange, SpanRef

PATIENCE_S = 60
NAMES = ("one", "two")
ROUNDS, FEW = 10, 2
TURNS = 20  # of one contender in a round in which it does the same again and again
Outcomes = tuple[str, str]
Contender = Callable[[Ledger, str, Any], str]


@dataclasses.dataclass(frozen=True)
class Race:
    """`methods` are those that are raced here, as `module.function`."""

    methods: tuple[str, ...]
    contenders: tuple[Contender, Contender]
    fair: Callable[[Ledger, str, Outcomes], bool]
    prepare: Callable[[Ledger, str], Any] = lambda _ledger, _key: None
    rounds: int = ROUNDS


class Racers:
    """Two processes that start each round together."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(2)
        self._pipes, self._processes = [], []
        for name in NAMES:
            ours, theirs = context.Pipe()
            self._pipes.append(ours)
            self._processes.append(
                context.Process(target=_race_on, args=(theirs, self._barrier), name=name, daemon=True)
            )
            self._processes[-1].start()

    def run(self, url: str, contenders: tuple[Contender, Contender], key: str, prepared: Any) -> Outcomes:
        """One round."""
        for pipe, contender in zip(self._pipes, contenders, strict=True):
            pipe.send((url, contender, key, prepared))
        for pipe in self._pipes:
            assert pipe.poll(PATIENCE_S), "a racer hangs"
        first, second = (pipe.recv() for pipe in self._pipes)
        return first, second

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.join(PATIENCE_S)


def _race_on(pipe: Connection, barrier: Barrier) -> None:
    chance = random.Random(_me())
    while True:
        url, contender, key, prepared = pipe.recv()
        ledger = url if contender is opening else Ledger(url)
        barrier.wait(PATIENCE_S)
        _dawdle(chance.random() * 0.002)
        pipe.send(_outcome(contender, ledger, key, prepared))


def _dawdle(seconds: float) -> None:
    """Begin a moment later than the other one; which of them that is changes from round to round."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def _outcome(contender: Contender, ledger: Any, key: str, prepared: Any) -> str:
    try:
        return contender(ledger, key, prepared)
    except KoboshiError as error:
        return type(error).__name__


def _me() -> str:
    return multiprocessing.current_process().name


def one_wins(win: str, loss: str) -> Callable[[Ledger, str, Outcomes], bool]:
    return lambda _ledger, _key, outcomes: sorted(outcomes) == sorted((win, loss))


# What is raced about.


def checkpoint(key: str, step: int = 1, path: str = "p") -> CheckpointRef:
    return CheckpointRef(key, "unit", step, path, "s")


def span(key: str, start: int = 0, end: int = 5, content: str = "c") -> SpanRef:
    return SpanRef(SpanRange(key, "id", 0, start, end), f"{start}-{end}", "s", content, end - start)


def held(ledger: Ledger, key: str, ttl_s: float = 60) -> leases.Lease:
    return leases.acquire(ledger, key, "both", ttl_s)


# Ledger


def opening(url: Any, _key: str, _prepared: Any) -> str:
    for _ in range(TURNS):
        ledger = Ledger(url)
        ledger.close()
    return "opened"


def one_version(ledger: Ledger, _key: str, outcomes: Outcomes) -> bool:
    with ledger.snapshot() as connection:
        return outcomes == ("opened", "opened") and len(connection.execute(sa.select(versions)).all()) == 1


def adding_often(ledger: Ledger, key: str, prepared: Any) -> str:
    """Read, add one, write: an update is lost unless transactions come one after the other."""
    for _ in range(TURNS):
        adding(ledger, key, prepared)
    return "added"


def nothing_lost(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return outcomes == ("added", "added") and held(ledger, key).token == 2 * TURNS + 2


def adding(ledger: Ledger, key: str, _prepared: Any) -> str:
    with ledger.transaction() as connection:
        here = leases_table.c.name == key
        token = connection.execute(sa.select(leases_table.c.token).where(here)).scalar_one()
        connection.execute(leases_table.update().where(here).values(token=token + 1))
    return "added"


def adding_carelessly(ledger: Ledger, key: str, _prepared: Any) -> str:
    """What a method of the ledger must not do: decide on what it read in a transaction before."""
    with ledger.snapshot() as connection:
        token = connection.execute(sa.select(leases_table.c.token).where(leases_table.c.name == key)).scalar_one()
    _meet(ledger, key)
    with ledger.transaction() as connection:
        connection.execute(leases_table.update().where(leases_table.c.name == key).values(token=token + 1))
    return "added"


def _meet(ledger: Ledger, key: str) -> None:
    """Wait until the other one is here as well."""
    held(ledger, f"{key} {_me()}")
    until = time.monotonic() + PATIENCE_S
    query = sa.select(leases_table.c.name).where(leases_table.c.name.in_([f"{key} {name}" for name in NAMES]))
    met = 0
    while met < len(NAMES) and time.monotonic() < until:
        with ledger.snapshot() as connection:
            met = len(connection.execute(query).all())


def one_each_is_added(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return outcomes == ("added", "added") and held(ledger, key).token == 1 + 2 + 1


def moving(ledger: Ledger, key: str, _prepared: Any) -> str:
    """Take from one row what is given to another, one after the other."""
    for _ in range(TURNS):
        with ledger.transaction() as connection:
            for step, change in ((1, -1), (2, 1)):
                here = (steps_table.c.run_key == key, steps_table.c.step == step)
                connection.execute(steps_table.update().where(*here).values(token=steps_table.c.token + change))
    return "moved"


def looking_twice(ledger: Ledger, key: str, _prepared: Any) -> str:
    """Within one snapshot the two rows add up, also when they are asked for apart, and again."""
    query = sa.select(steps_table.c.token).where(steps_table.c.run_key == key)
    for _ in range(TURNS):
        with ledger.snapshot() as connection:
            sums = {
                sum(connection.execute(query.where(steps_table.c.step == step)).scalar_one() for step in (1, 2))
                for _ in range(2)
            }
        if sums != {2}:
            return f"saw {sums}"
    return "saw one state"


def two_steps(ledger: Ledger, key: str) -> leases.Lease:
    lease = held(ledger, key)
    steps.commit(ledger, lease, [(checkpoint(key, 1), {}), (checkpoint(key, 2), {})])
    return lease


# Leases


def acquiring(ledger: Ledger, key: str, _prepared: Any) -> str:
    return f"token {leases.acquire(ledger, key, _me(), 60).token}"


def asking_who_holds(ledger: Ledger, key: str, _prepared: Any) -> str:
    """It is free until it is taken, and taken from then on."""
    seen = [leases.is_held(ledger, key) for _ in range(TURNS)]
    return "no way back" if seen == sorted(seen) else f"saw {seen}"


def renewing(ledger: Ledger, _key: str, lease: leases.Lease) -> str:
    leases.renew(ledger, lease, 60)
    return "renewed"


def renewed_or_taken_over(_ledger: Ledger, _key: str, outcomes: Outcomes) -> bool:
    return outcomes in (("renewed", "LeaseTaken"), ("Fenced", "token 2"))


def releasing(ledger: Ledger, _key: str, lease: leases.Lease) -> str:
    leases.release(ledger, lease)
    return "released"


def the_newer_holder_keeps_it(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    """The release of a lease that ran out may not take away what somebody else has acquired."""
    return outcomes == ("released", "token 2") and _outcome(acquiring, ledger, key, None) == "LeaseTaken"


def committing_under_the_guard(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    with ledger.transaction() as connection:
        leases.check(connection, lease)
        row = {**checkpoint(key).as_json(), "metrics": {}, "token": lease.token, "committed_at": 0.0}
        connection.execute(steps_table.insert().values(**row))
    return "committed"


def taking_over_and_looking(ledger: Ledger, key: str, _prepared: Any) -> str:
    leases.acquire(ledger, key, _me(), 60)
    return f"{len(steps.committed(ledger, key, 'unit'))} there"


def nothing_after_the_takeover(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    """I3: who took over sees all that the one before will ever have committed."""
    return outcomes in (("committed", "1 there"), ("Fenced", "0 there")) and (
        len(steps.committed(ledger, key, "unit")) == int(outcomes[1][0])
    )


# Spans


def planning(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    spans.plan(ledger, lease, [span(key).range, span(key, 5, 9).range])
    return "planned"


def planned_once(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return sorted(outcomes) == ["Conflict", "planned"] and spans.planned(ledger, key) == [
        span(key).range,
        span(key, 5, 9).range,
    ]


def plan_two(ledger: Ledger, key: str) -> leases.Lease:
    lease = held(ledger, key)
    planning(ledger, key, lease)
    return lease


def beginning(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    start = 3 + NAMES.index(_me())
    spans.begin(ledger, lease, Beginning(key, "id", 0, start))
    return str(start)


def began_as_the_winner_says(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    (winner,) = (outcome for outcome in outcomes if outcome != "Conflict")
    return [one.start for one in spans.beginnings(ledger, key).values()] == [int(winner)]


def planning_at_3(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    spans.plan(ledger, lease, [span(key, 3, 5).range])
    return "planned"


def beginning_at_4(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    spans.begin(ledger, lease, Beginning(key, "id", 0, 4))
    return "begun"


def begun_or_planned(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    """Whoever was first: a plan never starts elsewhere than where the landing began."""
    planned = [one.start for one in spans.planned(ledger, key)]
    begun = [one.start for one in spans.beginnings(ledger, key).values()]
    return (outcomes, planned, begun) in (
        (("planned", "Conflict"), [3], [3]),
        (("Conflict", "begun"), [], [4]),
    )


def asking_where_it_began(ledger: Ledger, key: str, _prepared: Any) -> str:
    """What was seen once stays as it was."""
    seen = [tuple(one.start for one in spans.beginnings(ledger, key).values()) for _ in range(TURNS)]
    return "no way back" if seen == sorted(seen) and set(seen) <= {(), (3,)} else f"saw {seen}"


def landing(content: str) -> Contender:
    return {"c": _landing_c, "d": _landing_d}[content]


def _landing_c(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    spans.commit(ledger, lease, span(key, content="c"))
    return "c"


def _landing_d(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    spans.commit(ledger, lease, span(key, content="d"))
    return "d"


def landed_as_the_winner_says(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    winners = [outcome for outcome in outcomes if outcome != "Conflict"]
    return [landed.content for landed in spans.committed(ledger, key)] == winners


def landed_once(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return outcomes == ("c", "c") and spans.committed(ledger, key) == [span(key)]


def planning_on(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    """Two ranges at a time, and land the older ones."""
    for start in range(0, 10 * TURNS, 10):
        spans.plan(ledger, lease, [span(key, start, start + 5).range, span(key, start + 5, start + 10).range])
        for planned in spans.planned(ledger, key):
            spans.commit(ledger, lease, span(key, planned.start, planned.end))
    return "went on"


def watching_spans(ledger: Ledger, key: str, _prepared: Any) -> str:
    """Whatever is seen follows on each other (I1), and of a plan both ranges or none."""
    for _ in range(2 * TURNS):
        # In the order of their lives: what was planned when it was looked for is landed when that is looked for.
        known = key in spans.topics(ledger) or spans.knows_partition(ledger, key, 0)
        planned, landed = spans.planned(ledger, key), spans.committed(ledger, key)
        edges = [edge for one in landed for edge in (one.range.start, one.range.end)]
        if edges[1:-1:2] != edges[2::2]:
            return f"saw {edges}"
        if known and not landed and not planned:
            return f"saw {key} without a row"
        if planned and not spans.knows_partition(ledger, key, planned[0].partition):
            return f"saw {planned} of a partition that is not known"
        if planned and planned[-1].end % 10:
            return f"saw half of a plan: {planned}"
        if not {one.path for one in landed} <= spans.paths(ledger, key, 0):
            return "saw a landed span without its file"
        if wrong := _torn(spans.frontier(ledger, key, 0), landed):
            return wrong
    return "saw no gap"


def _torn(seen: spans.Frontier, landed: list[SpanRef]) -> str:
    """What a frontier says of one moment follows on each other, and lies behind what had landed before."""
    ranges = [*([seen.landed] if seen.landed else []), *seen.planned]
    if any(one.end != other.start for one, other in pairwise(ranges)):
        return f"saw a gap in {seen}"
    if landed and (seen.landed is None or seen.landed.end < landed[-1].range.end):
        return f"saw {seen} after {landed[-1].range}"
    return f"saw half of a plan: {seen}" if seen.last and seen.last.end % 10 else ""


# Steps


def committing(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    steps.commit(ledger, lease, [(checkpoint(key, path=_me()), {}), (checkpoint(key, 2, path=_me()), {})])
    return _me()


def committed_as_the_winner_says(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    """I5: of two steps in one commit both are the winner's."""
    (winner,) = (outcome for outcome in outcomes if outcome != "Conflict")
    return [step.checkpoint.path for step in steps.committed(ledger, key, "unit")] == [winner] * 2


def quarantining(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    steps.quarantine(ledger, lease, checkpoint(key, 2), f"says {_me()}")
    return "quarantined"


def one_reason(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    with ledger.snapshot() as connection:
        query = sa.select(steps_table.c.quarantined).where(steps_table.c.run_key == key).order_by(steps_table.c.step)
        reasons = connection.execute(query).scalars().all()
    return outcomes == ("quarantined", "quarantined") and reasons[0] is None and str(reasons[1]).startswith("says ")


def doing_again(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    steps.commit(ledger, lease, [(checkpoint(key, 2, path="again"), {})])
    return "done again"


def quarantined_then_done(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    """Whichever came first: step 2 counts once, or not at all."""
    paths = [step.checkpoint.path for step in steps.committed(ledger, key, "unit")]
    return (outcomes, paths) in (
        (("quarantined", "done again"), ["p", "again"]),
        (("quarantined", "Conflict"), ["p"]),
    )


def committing_in_pairs(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    for step in range(1, 2 * TURNS, 2):
        pair = [checkpoint(key, number, path=f"{number}") for number in (step, step + 1)]
        steps.commit(ledger, lease, [(one, {}) for one in pair])
    return "went on"


def watching_steps(ledger: Ledger, key: str, _prepared: Any) -> str:
    for _ in range(2 * TURNS):
        seen = [step.checkpoint.step for step in steps.committed(ledger, key, "unit")]
        if seen != list(range(1, len(seen) + 1)) or len(seen) % 2:
            return f"saw {seen}"
        counted = len(steps.committed_of_run(ledger, key)), len(steps.paths(ledger, key))
        if any(count % 2 for count in counted) or not len(seen) <= counted[0] <= counted[1]:
            return f"saw {counted} after {len(seen)}"
        last = steps.last_committed_at(ledger).get(key)
        newest = [step.checkpoint.step for step in steps.newest_of_run(ledger, key).values()]
        by_time = {step.committed_at: step.checkpoint.step for step in steps.committed_of_run(ledger, key)}
        far = [] if last is None else [by_time[last]]
        if not [len(seen)] * bool(seen) <= far <= newest or any(step % 2 for step in far + newest):
            return f"saw {far} and {newest} after {len(seen)}"
    return "saw pairs"


# Attempts


def claiming(ledger: Ledger, key: str, _prepared: Any) -> str:
    return str(intents.claim(ledger, key))


def claimed_alike(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return outcomes == (str(intents.Attempt(key, 1, "open")),) * 2


def claimed_and_seen(_ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return outcomes == (str(intents.Attempt(key, 1, "open")), "no way back")


def asking_for_attempts(ledger: Ledger, key: str, _prepared: Any) -> str:
    """An attempt that was seen once stays."""
    seen = [(intents.is_known(ledger, key), len(intents.recorded(ledger, key))) for _ in range(TURNS)]
    return "no way back" if seen == sorted(seen) and seen[-1][1] <= 1 else f"saw {seen}"


def succeeding(ledger: Ledger, _key: str, attempt: intents.Attempt) -> str:
    intents.close(ledger, attempt, "succeeded")
    return "succeeded"


def failing(ledger: Ledger, _key: str, attempt: intents.Attempt) -> str:
    intents.close(ledger, attempt, "failed")
    return "failed"


def closed_as_the_winner_says(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    (winner,) = (outcome for outcome in outcomes if outcome != "Conflict")
    found = intents.claim(ledger, key)
    return (found.number, found.state) == ((1, "succeeded") if winner == "succeeded" else (2, "open"))


def succeeded_once(ledger: Ledger, key: str) -> intents.Attempt:
    attempt = intents.claim(ledger, key)
    intents.close(ledger, attempt, "succeeded")
    return attempt


def revoking(ledger: Ledger, _key: str, attempt: intents.Attempt) -> str:
    intents.revoke(ledger, attempt, "a file is gone")
    return "revoked"


def the_next_is_the_second(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return outcomes == ("revoked", "revoked") and intents.claim(ledger, key) == intents.Attempt(key, 2, "open")


def revoked_before_or_after(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    """Who claims sees the first attempt as it was, or opens the second; a third never comes of it."""
    possible = {("revoked", str(intents.Attempt(key, *state))) for state in ((1, "succeeded"), (2, "open"))}
    return outcomes in possible and intents.claim(ledger, key) == intents.Attempt(key, 2, "open")


# Intents


def intending(ledger: Ledger, key: str, _prepared: Any) -> str:
    return str(intents.open_intent(ledger, key, None, wanted=1 + NAMES.index(_me())))


def one_intent(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return outcomes == (str(intents.opened(ledger, key)),) * 2


def opened_intent(ledger: Ledger, key: str) -> intents.Intent:
    return intents.open_intent(ledger, key, None, 1)


def finishing(ledger: Ledger, _key: str, intent: intents.Intent) -> str:
    intents.settle(ledger, intent, "done")
    return "settled"


def taking_back(ledger: Ledger, _key: str, intent: intents.Intent) -> str:
    intents.settle(ledger, intent, "taken back")
    return "settled"


def settled_once(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return outcomes == ("settled", "settled") and intents.opened(ledger, key) is None


def releasing_on(ledger: Ledger, key: str, _prepared: Any) -> str:
    for wanted in range(1, TURNS):
        intents.settle(ledger, intents.open_intent(ledger, key, wanted - 1, wanted), "done")
    return "went on"


def watching_intents(ledger: Ledger, key: str, _prepared: Any) -> str:
    """The last one done never goes back, one that is open later came after it, and all up to it were served."""
    newest = 0
    for _ in range(2 * TURNS):
        done, served, opened = intents.last_done(ledger, key), intents.served(ledger, key), intents.opened(ledger, key)
        if served != list(range(len(served), 0, -1)) or len(served) < (done.wanted if done else 0):
            return f"{served} were served when {done} was the last one done"
        if done is not None and done.wanted < newest:
            return f"went back from {newest} to {done.wanted}"
        newest = done.wanted if done else newest
        if opened is not None and opened.wanted <= newest:
            return f"{opened} is open after {newest} was done"
    return "saw no way back"


# Holding, and filling anew


def holding_by_turns(ledger: Ledger, key: str, _prepared: Any) -> str:
    """Read and write in two transactions, which nothing but the lease keeps together."""
    for _ in range(3):
        with holding(ledger, key, _me(), ttl_s=60, wait_s=PATIENCE_S) as held:
            seen = len(steps.committed(ledger, key, "unit"))
            held.keep()
            steps.commit(ledger, held.lease, [(checkpoint(key, seen + 1), {})])
    return "took turns"


def each_turn_counts(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    return outcomes == ("took turns", "took turns") and len(steps.committed(ledger, key, "unit")) == 6


def keeping(ledger: Ledger, _key: str, lease: leases.Lease) -> str:
    HeldLease(ledger, lease, 60).keep()
    return "renewed"


def emptied(ledger: Ledger, _key: str) -> None:
    with ledger.transaction() as connection:
        for table in metadata.sorted_tables:
            if table is not versions:
                connection.execute(table.delete())


def putting_back(ledger: Ledger, key: str, _prepared: Any) -> str:
    database.put_back(ledger, [span(key, content=_me()), span(key, 5, 9, content=_me())])
    return _me()


def put_back_by_one(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    (winner,) = (outcome for outcome in outcomes if outcome != "Conflict")
    return [landed.content for landed in spans.committed(ledger, key)] == [winner] * 2


def asking_for_rows(ledger: Ledger, key: str, _prepared: Any) -> str:
    empty, landed = database.is_empty(ledger), len(spans.committed(ledger, key))
    return "right" if empty or landed == 2 else f"{landed} rows are there"


def fencing(ledger: Ledger, _key: str, _prepared: Any) -> str:
    database.fence_all(ledger)
    return "fenced"


def committing_late(ledger: Ledger, key: str, lease: leases.Lease) -> str:
    steps.commit(ledger, lease, [(checkpoint(key), {})])
    return "committed"


def fenced_for_good(ledger: Ledger, key: str, outcomes: Outcomes) -> bool:
    """The old holder commits before the fence or never; whoever comes next has a token above its own."""
    counted = len(steps.committed(ledger, key, "unit"))
    return (outcomes, counted) in ((("fenced", "committed"), 1), (("fenced", "Fenced"), 0)) and held(
        ledger, key
    ).token > 1_000_000


def both(first: str, second: str) -> Callable[[Ledger, str, Outcomes], bool]:
    return lambda _ledger, _key, outcomes: outcomes == (first, second)


def _expired(ledger: Ledger, key: str) -> leases.Lease:
    return held(ledger, key, ttl_s=0)


RACES = {
    "both open": Race(("Ledger.__init__", "Ledger.close"), (opening, opening), one_version, rounds=FEW),
    "both add": Race(("Ledger.transaction",), (adding_often, adding_often), nothing_lost, held, rounds=FEW),
    "one moves, one looks": Race(
        ("Ledger.snapshot",), (moving, looking_twice), both("moved", "saw one state"), two_steps, rounds=FEW
    ),
    "both acquire": Race(("leases.acquire",), (acquiring, acquiring), one_wins("token 1", "LeaseTaken")),
    "one acquires, one asks": Race(
        ("leases.is_held",), (acquiring, asking_who_holds), both("token 1", "no way back"), rounds=FEW
    ),
    "one renews, one takes over": Race(("leases.renew",), (renewing, acquiring), renewed_or_taken_over, _expired),
    "one releases late": Race(("leases.release",), (releasing, acquiring), the_newer_holder_keeps_it, _expired),
    "one commits, one takes over": Race(
        ("leases.check",), (committing_under_the_guard, taking_over_and_looking), nothing_after_the_takeover, _expired
    ),
    "both plan": Race(("spans.plan",), (planning, planning), planned_once, held),
    "both begin, differently": Race(("spans.begin",), (beginning, beginning), began_as_the_winner_says, held),
    "one begins, one plans": Race(
        ("spans.begin", "spans.plan"), (planning_at_3, beginning_at_4), begun_or_planned, held
    ),
    "one plans, one asks where it began": Race(
        ("spans.beginnings",), (planning_at_3, asking_where_it_began), both("planned", "no way back"), held, rounds=FEW
    ),
    "both land, differently": Race(
        ("spans.commit",), (landing("c"), landing("d")), landed_as_the_winner_says, plan_two
    ),
    "both land the same": Race(("spans.commit",), (landing("c"), landing("c")), landed_once, plan_two),
    "one lands, one looks": Race(
        ("spans.planned", "spans.committed", "spans.topics", "spans.knows_partition", "spans.frontier", "spans.paths"),
        (planning_on, watching_spans),
        both("went on", "saw no gap"),
        held,
        rounds=FEW,
    ),
    "both commit steps": Race(("steps.commit",), (committing, committing), committed_as_the_winner_says, held),
    "both quarantined": Race(("steps.quarantine",), (quarantining, quarantining), one_reason, two_steps),
    "one quarantines, one does it again": Race(
        ("steps.quarantine", "steps.commit"), (quarantining, doing_again), quarantined_then_done, two_steps
    ),
    "one commits pairs, one looks": Race(
        (
            "Ledger.rows",
            "steps.committed",
            "steps.committed_of_run",
            "steps.paths",
            "steps.last_committed_at",
            "steps.newest_of_run",
        ),
        (committing_in_pairs, watching_steps),
        both("went on", "saw pairs"),
        held,
        rounds=FEW,
    ),
    "both claim": Race(("intents.claim",), (claiming, claiming), claimed_alike),
    "one claims, one asks": Race(
        ("intents.is_known", "intents.recorded"), (claiming, asking_for_attempts), claimed_and_seen, rounds=FEW
    ),
    "one succeeds, one fails": Race(
        ("intents.close",), (succeeding, failing), closed_as_the_winner_says, intents.claim
    ),
    "both revoke": Race(("intents.revoke",), (revoking, revoking), the_next_is_the_second, succeeded_once),
    "one revokes, one claims": Race(("intents.revoke",), (revoking, claiming), revoked_before_or_after, succeeded_once),
    "both intend": Race(("intents.open_intent",), (intending, intending), one_intent),
    "one finishes, one takes back": Race(("intents.settle",), (finishing, taking_back), settled_once, opened_intent),
    "both hold": Race(("leases.holding",), (holding_by_turns, holding_by_turns), each_turn_counts, rounds=FEW),
    "one keeps, one takes over": Race(("HeldLease.keep",), (keeping, acquiring), renewed_or_taken_over, _expired),
    "both fill anew": Race(("database.put_back",), (putting_back, putting_back), put_back_by_one, emptied),
    "one fills, one asks": Race(("database.is_empty",), (putting_back, asking_for_rows), both("one", "right"), emptied),
    "one fences, one commits": Race(("database.fence_all",), (fencing, committing_late), fenced_for_good, held),
    "one releases, one looks": Race(
        ("intents.opened", "intents.last_done", "intents.served"),
        (releasing_on, watching_intents),
        both("went on", "saw no way back"),
        rounds=FEW,
    ),
}
