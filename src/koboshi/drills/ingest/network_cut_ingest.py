"""network-cut-ingest: the network between lander and broker falls silent in the middle of landing, and heals."""

from collections.abc import Sequence
from functools import partial

from koboshi.drills.drill import Drill, Finding, Injection
from koboshi.drills.ingest.following_environment import FollowingEnvironment, acknowledged_is_landed
from koboshi.drills.kit.confluent_topic import kafka_works, landed_equals_the_broker
from koboshi.drills.kit.own_run import eventually

PATIENCE_S = 4.0
READS_WITHIN_S, SWALLOWED_WITHIN_S, GIVES_UP_WITHIN_S = 20.0, 20.0, 90.0


def cut_the_network(environment: FollowingEnvironment) -> list[Injection]:
    """Fall silent in the middle of a range, and wait until the lander gives up a try.

    A black hole, not a reset: connections stay open, and nothing comes through any more. Only a cut that is longer than
    the lander's patience puts it to the test.
    """
    environment.wait_for(lambda: environment.told()[-1]["event"] == "reading", READS_WITHIN_S, look_s=0.0)
    injection = environment.proxy.inject("lander and Kafka", SWALLOWED_WITHIN_S)

    def gave_up() -> bool:
        tries = (t["monotonic"] - injection.at_monotonic for t in environment.told() if t["event"] == "again")
        environment.gave_up_after_s = min((after_s for after_s in tries if after_s > 0), default=None)
        return environment.gave_up_after_s is not None

    eventually(gave_up, GIVES_UP_WITHIN_S)
    return [injection]


def gave_up_in_time(environment: FollowingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """No wait for ever: while the network was silent the lander gave up a try, and began another one."""
    after_s = environment.gave_up_after_s
    said = f"the lander waited without an end: {GIVES_UP_WITHIN_S:.0f} s of silence and no word"
    if after_s is not None:
        said = f"the lander gave up a try {after_s:.1f} s after the cut, and began again; patience {PATIENCE_S:.0f} s"
    return Finding("gave_up_in_time", after_s is not None, said)


DRILL: Drill[FollowingEnvironment] = Drill(
    name="network-cut-ingest",
    claim="When the network between lander and Kafka falls silent, the lander waits no longer than its patience, and "
    "lands everything once when it heals.",
    fault="a TCP proxy between lander and Kafka goes silent, and heals",
    layer="ingest",
    environment=partial(FollowingEnvironment, patience_s=PATIENCE_S, detoured=True),
    steady=(kafka_works,),
    inject=cut_the_network,
    within_s=180,
    verdict=(gave_up_in_time, acknowledged_is_landed, landed_equals_the_broker),
)
