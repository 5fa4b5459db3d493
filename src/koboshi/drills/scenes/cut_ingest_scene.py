"""The scene of a cut between lander and broker: the lander reaches Kafka through a proxy, the producer directly."""

import time
from collections.abc import Callable

from koboshi.drills.evidence import Finding
from koboshi.drills.faults.tcp_proxy import TcpProxy
from koboshi.drills.scenes.following_scene import FollowingScene
from koboshi.drills.scenes.lander_run import KOBOSHI, LanderKind
from koboshi.drills.strike import Strike
from koboshi.errors import Unavailable
from koboshi.settings import Settings
from koboshi.stack.kafka_part import detour
from koboshi.stack.operate import known_parts
from koboshi.stack.places import find_places
from koboshi.stack.ports import Ports, kept_base

PATIENCE_S = 4.0
READS_WITHIN_S, SWALLOWED_WITHIN_S, GIVES_UP_WITHIN_S = 20.0, 20.0, 90.0


class CutIngestScene(FollowingScene):
    """The proxy stands where the broker sends the clients of its second listener to: nothing goes past it."""

    def __init__(self, settings: Settings, say: Callable[[str], None], lander: LanderKind = KOBOSHI) -> None:
        """Nothing is done yet."""
        super().__init__(settings, say, lander, PATIENCE_S)
        self._proxy: TcpProxy | None = None
        self.gave_up_after_s: float | None = None

    @property
    def lander_servers(self) -> str:
        """Where the proxy listens."""
        return f"127.0.0.1:{self.proxy.listen}"

    @property
    def proxy(self) -> TcpProxy:
        """What stands between; only once it has begun."""
        if self._proxy is None:
            raise Unavailable("the proxy is not there yet.")
        return self._proxy

    def begin(self) -> None:
        """Put the proxy between, then start as ever."""
        places = find_places(self.settings.project, self.settings.state_dir)
        base = kept_base(places)
        if base is None or "kafka" not in known_parts(places):
            raise Unavailable("Kafka is not a part of this stack, so that nothing can be put before it.")
        start, end = detour(Ports(base))
        self._proxy = TcpProxy("127.0.0.1", end, start)
        self._proxy.start()
        super().begin()

    def cut(self) -> Strike:
        """Fall silent in the middle of a range, and wait until the lander gives up a try.

        Only a cut that is longer than its patience puts it to the test.
        """
        self._wait(lambda: self.told()[-1]["event"] == "reading", READS_WITHIN_S, look_s=0.0)
        strike = self.proxy.strike("lander and Kafka", SWALLOWED_WITHIN_S)
        while self.gave_up_after_s is None and time.monotonic() < strike.at_monotonic + GIVES_UP_WITHIN_S:
            time.sleep(0.1)
            gave_up = (t["monotonic"] for t in self.told() if t["event"] == "again")
            self.gave_up_after_s = min(
                (at - strike.at_monotonic for at in gave_up if at > strike.at_monotonic), default=None
            )
        return strike

    def heal(self) -> None:
        """Forward again."""
        self.proxy.heal()

    def close(self, *, keep_files: bool) -> None:
        """Take the proxy away as well."""
        super().close(keep_files=keep_files)
        if self._proxy:
            self._proxy.close()


def gave_up_in_time(scene: CutIngestScene, strikes: object) -> Finding:  # noqa: ARG001
    """No wait for ever: while the network was silent the lander gave up a try, and began another one."""
    after_s = scene.gave_up_after_s
    said = f"the lander waited without an end: {GIVES_UP_WITHIN_S:.0f} s of silence and no word"
    if after_s is not None:
        said = f"the lander gave up a try {after_s:.1f} s after the cut, and began again; patience {PATIENCE_S:.0f} s"
    return Finding("gave_up_in_time", after_s is not None, said)
