"""zombie-lander: SIGSTOP of a lander past its lease, its file in place; it goes on when another one has taken over."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from koboshi.drills.drill import Drill, Finding, Injection
from koboshi.drills.ingest.landing_environment import LandingEnvironment, files_equal_the_controls
from koboshi.drills.kit.confluent_topic import kafka_works, landed_equals_the_broker
from koboshi.drills.kit.faults import resume, stop
from koboshi.errors import Fenced

Row = tuple[int, int, int, int]


def zombie_committed_nothing(environment: LandingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """I3: tokens never go back in the order of the commits, and the zombie was refused when it went on (65)."""
    rows, code = committed_rows(environment.state_dir / "ledger.db", environment.topic.name), environment.first.ended(0)
    wrong = token_gone_back(rows)
    said = wrong or f"the zombie ended with {code}: {environment.first.last_words()}"
    return Finding("zombie_committed_nothing", not wrong and code == Fenced.exit_code, said)


def committed_rows(path: Path, topic: str) -> list[Row]:
    """The committed spans (partition, start, end, token) in the order of their commits, read past the ledger's code."""
    query = (
        "SELECT partition, start, end, token FROM spans WHERE topic = ? AND state = 'committed' ORDER BY committed_at"
    )
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query, (topic,)).fetchall()


def token_gone_back(rows: Sequence[Row]) -> str:
    """Names the first span that was committed under an older token than one before it; empty when there is none."""
    newest: dict[int, int] = {}
    for partition, start, end, token in rows:
        if token < newest.get(partition, token):
            return (
                f"partition {partition}: [{start}, {end}) was committed under token {token}, "
                f"after token {newest[partition]} had taken over"
            )
        newest[partition] = token
    return ""


LEASE_S, ENDS_WITHIN_S = 1.0, 60.0


def stop_past_its_lease(environment: LandingEnvironment) -> list[Injection]:
    """Stopped right before its commit; let go on when the next one has committed that very span and stands still."""
    zombie = environment.first
    injection = stop("lander", [zombie.pid], "its file in place, its row not written") if zombie.stopped() else None
    if injection is None:
        return []
    time.sleep(environment.first_lease_s)
    other = environment.next_lander("committed")
    if not other.stopped():
        return []
    resume([zombie.pid])
    zombie.ended(ENDS_WITHIN_S)
    resume([other.pid])
    other.ended(ENDS_WITHIN_S)
    return [injection]


DRILL: Drill[LandingEnvironment] = Drill(
    name="zombie-lander",
    claim="A lander that sleeps past its lease and wakes up beside its successor commits nothing any more.",
    fault="SIGSTOP of the lander past its lease, then SIGCONT",
    layer="ingest",
    environment=partial(LandingEnvironment, first_pause="renamed", first_lease_s=LEASE_S),
    steady=(kafka_works,),
    inject=stop_past_its_lease,
    within_s=120,
    verdict=(zombie_committed_nothing, landed_equals_the_broker, files_equal_the_controls),
)
