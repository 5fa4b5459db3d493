"""zombie-lander: SIGSTOP of a lander past its lease, its file in place; it goes on when another one has taken over."""

import time
from functools import partial

from koboshi.drills.drill import Drill
from koboshi.drills.faults.signals import resume, stop
from koboshi.drills.scenes.landing_checks import (
    files_equal_the_controls,
    kafka_works,
    landed_equals_the_broker,
    zombie_committed_nothing,
)
from koboshi.drills.scenes.landing_scene import LandingScene
from koboshi.drills.strike import Strike

LEASE_S, ENDS_WITHIN_S = 1.0, 60.0


def stop_past_its_lease(scene: LandingScene) -> list[Strike]:
    """Stopped right before its commit; let go on when the next one has committed that very span and stands still."""
    zombie = scene.first
    strike = stop("lander", [zombie.pid], "its file in place, its row not written") if zombie.stopped() else None
    if strike is None:
        return []
    time.sleep(scene.first_lease_s)
    other = scene.next_lander("committed")
    if not other.stopped():
        return []
    resume([zombie.pid])
    zombie.ended(ENDS_WITHIN_S)
    resume([other.pid])
    other.ended(ENDS_WITHIN_S)
    return [strike]


DRILL: Drill[LandingScene] = Drill(
    name="zombie-lander",
    claim="A lander that sleeps past its lease and wakes up beside its successor commits nothing any more.",
    fault="SIGSTOP of the lander past its lease, then SIGCONT",
    layer="ingest",
    scene=partial(LandingScene, first_pause="renamed", first_lease_s=LEASE_S),
    steady=(kafka_works,),
    strike=stop_past_its_lease,
    within_s=120,
    verdict=(zombie_committed_nothing, landed_equals_the_broker, files_equal_the_controls),
)
