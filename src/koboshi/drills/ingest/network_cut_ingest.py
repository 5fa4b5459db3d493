"""network-cut-ingest: the network between lander and broker falls silent in the middle of landing, and heals."""

import time
from collections.abc import Sequence
from functools import partial

from koboshi.drills.drill import Drill, Finding, Injection
from koboshi.drills.ingest.following_environment import FollowingEnvironment, acknowledged_is_landed
from koboshi.drills.kit.landed import kafka_works, landed_equals_the_broker
from koboshi.drills.kit.tcp_proxy import TcpProxy
from koboshi.errors import Unavailable
from koboshi.settings import Settings
from koboshi.stack.lifecycle import known_parts
from koboshi.stack.parts.kafka import detour
from koboshi.stack.paths import find_paths
from koboshi.stack.topology import Ports, kept_base

PATIENCE_S = 4.0
READS_WITHIN_S, SWALLOWED_WITHIN_S, GIVES_UP_WITHIN_S = 20.0, 20.0, 90.0


class Detour:
    """A proxy stands where the broker sends the clients of its second listener to: nothing goes past it."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is done yet."""
        self._settings = settings
        self._proxy: TcpProxy | None = None
        self.gave_up_after_s: float | None = None

    @property
    def proxy(self) -> TcpProxy:
        """What stands between; only once the way is open."""
        if self._proxy is None:
            raise Unavailable("the proxy is not there yet.")
        return self._proxy

    def open(self) -> str:
        """Put the proxy between; where it listens."""
        paths = find_paths(self._settings.project, self._settings.state_dir)
        base = kept_base(paths)
        if base is None or "kafka" not in known_parts(paths):
            raise Unavailable("Kafka is not a part of this stack, so that nothing can be put before it.")
        start, end = detour(Ports(base))
        self._proxy = TcpProxy("127.0.0.1", end, start)
        self._proxy.start()
        return f"127.0.0.1:{self._proxy.listen}"

    def heal(self) -> None:
        """Forward again."""
        self.proxy.heal()

    def close(self) -> None:
        """Take the proxy away."""
        if self._proxy:
            self._proxy.close()


def cut_the_network(environment: FollowingEnvironment) -> list[Injection]:
    """Fall silent in the middle of a range, and wait until the lander gives up a try.

    A black hole, not a reset: connections stay open, and nothing comes through any more. Only a cut that is longer than
    the lander's patience puts it to the test.
    """
    way: Detour = environment.way
    environment.wait_for(lambda: environment.told()[-1]["event"] == "reading", READS_WITHIN_S, look_s=0.0)
    injection = way.proxy.inject("lander and Kafka", SWALLOWED_WITHIN_S)
    while way.gave_up_after_s is None and time.monotonic() < injection.at_monotonic + GIVES_UP_WITHIN_S:
        time.sleep(0.1)
        gave_up = (t["monotonic"] - injection.at_monotonic for t in environment.told() if t["event"] == "again")
        way.gave_up_after_s = min((after_s for after_s in gave_up if after_s > 0), default=None)
    return [injection]


def gave_up_in_time(environment: FollowingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """No wait for ever: while the network was silent the lander gave up a try, and began another one."""
    after_s = environment.way.gave_up_after_s
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
    environment=partial(FollowingEnvironment, patience_s=PATIENCE_S, way=Detour),
    steady=(kafka_works,),
    inject=cut_the_network,
    within_s=180,
    verdict=(gave_up_in_time, acknowledged_is_landed, landed_equals_the_broker),
)
