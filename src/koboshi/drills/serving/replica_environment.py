"""The environment of the replica drills: a steady load on the champion, by the gateway, while a replica has a fault."""

import time
from collections.abc import Callable, Iterator, Sequence

from koboshi.drills.drill import Event, Evidence, Finding, Injection, times_after
from koboshi.drills.kit.aiohttp_load import OK, per_second, share, silence
from koboshi.drills.kit.latencies import latencies
from koboshi.drills.kit.own_run import TcpProxy
from koboshi.drills.serving.load_environment import (
    LOOK_S,
    REQUESTS,
    LoadEnvironment,
    MakeGateway,
    ReplicaWatch,
    stack_gateway,
)
from koboshi.errors import BadInput
from koboshi.events import Sink
from koboshi.settings import Settings

LAST, HELD = 500, 1_500


class ServingEnvironment(LoadEnvironment):
    """The stack's replicas and its gateway, or another gateway before them; nothing that is the user's is changed."""

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        gateway: MakeGateway = stack_gateway,
        requests: int = REQUESTS,
        *,
        through_proxy: bool = False,
    ) -> None:
        """Nothing is done yet; a gateway of the drill's own may reach the victim `through_proxy`."""
        super().__init__(settings, emit, gateway, requests)
        self._through_proxy = through_proxy
        self._proxy: TcpProxy | None = None
        self._watch: ReplicaWatch | None = None
        self._heal: Callable[[], None] | None = None
        self._healed_s: float | None = None
        self.final_share = 0.0

    @property
    def proxy(self) -> TcpProxy:
        """What stands between the gateway and the victim."""
        if self._proxy is None:
            raise BadInput("the drill's own work has not begun.")
        return self._proxy

    @property
    def victim(self) -> str:
        """The replica that gets the fault."""
        return list(self.replicas)[1]

    def heals_by(self, heal: Callable[[], None]) -> None:
        """The fault does not end by itself: this ends it, once the others have answered for a while."""
        self._heal = heal
        self.ends.callback(self.heal)

    def begin(self) -> None:
        """Put a proxy on the way, if there is to be one, and start the load; returns when every replica answers."""
        self.folder.mkdir(parents=True)
        routes = self.replicas
        if self._through_proxy:
            self._proxy = TcpProxy("127.0.0.1", routes[self.victim])
            self._proxy.start()
            self.ends.callback(self._proxy.close)
            routes[self.victim] = self._proxy.listen
        self.begin_load(routes, self.champions_questions)
        self._watch = ReplicaWatch(self.gateway, routes[self.victim])
        self.ends.callback(self._watch.stop)

    def finish(self, limit_s: float) -> Finding:
        """Go on until all requests are made and the victim has its share again, or the time is over."""
        begun, deadline, before = time.time(), time.monotonic() + limit_s, len(self.answers)
        while time.monotonic() < deadline:
            made = len(self.answers) - before
            if self._heal and made >= HELD:
                self.heal()
            self.final_share = share(self.answers[-LAST:], self.victim)
            if made >= self.requests and self._heal is None and self.final_share >= self.fair_share / 2:
                break
            time.sleep(LOOK_S)
        self.end_load()
        made, took_s = len(self.answers) - before, time.time() - begun
        said = f"{made:,} requests in {took_s:.0f} s of load after the injection ({made / took_s:.0f}/s)"
        return Finding("load_ended", made >= self.requests, f"{said}, of at least {self.requests:,}")

    def heal(self) -> None:
        """End a fault that does not end by itself; once."""
        heal, self._heal = self._heal, None
        if heal:
            heal()
            self._healed_s = time.time()

    @property
    def fair_share(self) -> float:
        """What each replica would get of an even load."""
        return 1 / len(self.replicas)

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """From the answers as the client got them, and from what the gateway's own counters showed meanwhile."""
        answers, injection = self.answers, injections[0]
        trouble = self._watch.first_trouble(injection.at_s) if self._watch else None
        events = list(self._events(trouble, silence(answers, self.victim, injection.at_s)))
        measures = times_after(injection, events) | self.load_measures() | latencies(answers, injections, events)
        return Evidence(measures, events, per_second(answers, lambda answer: answer.replica))

    def _events(self, trouble: float | None, quiet: tuple[float, float] | None) -> Iterator[Event]:
        if trouble:
            yield Event(trouble, "suspicion", f"a try on {self.victim} failed, says the gateway")
        for at, healthy in self._watch.changes() if self._watch else ():
            yield Event(at, "note", f"the gateway sends {'again' if healthy else 'nothing more'} to {self.victim}")
        if self._healed_s:
            yield Event(self._healed_s, "note", "the fault was ended")
        if quiet:
            yield Event(quiet[1], "recovery", f"{self.victim} answers again")


MISSED = 100  # so many predictions the others must have given while the victim was silent


def victim_fell_silent(environment: ServingEnvironment, injections: Sequence[Injection]) -> Finding:
    """The fault was felt: from the injection on the victim gave no prediction, while the others gave many."""
    (injection,) = injections
    quiet = silence(environment.answers, environment.victim, injection.at_s)
    if quiet is None:
        said = f"{environment.victim} did not answer before the injection, or never again after it"
        return Finding("victim_fell_silent", False, said)
    begun, ended = quiet
    others = sum(begun < answer.at_s < ended and answer.status == OK for answer in environment.answers)
    holds = others >= MISSED and injection.took
    said = f"{environment.victim} was silent from {begun - injection.at_s:+z.2f} s to {ended - injection.at_s:+z.2f} s"
    return Finding("victim_fell_silent", holds, f"{said} of the injection, the others gave {others:,} predictions")


def share_is_back(environment: ServingEnvironment, _injections: Sequence[Injection]) -> Finding:
    """In the end the victim takes at least half of its fair part of the load."""
    last, fair = environment.final_share, environment.fair_share
    said = f"{environment.victim} gave {last:.0%} of the last {LAST} answers (an even share is {fair:.0%})"
    return Finding("share_is_back", last >= fair / 2, said)
