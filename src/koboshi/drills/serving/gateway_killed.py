"""gateway-killed: SIGKILL of the gateway under a steady load of predictions, whose clients ask again."""

import asyncio
import time
from collections.abc import Callable, Sequence

import aiohttp

from koboshi.drills.drill import Drill, Event, Evidence, Finding, Injection, times_after
from koboshi.drills.kit.aiohttp_load import OK, Answer, Load, Questions, per_second
from koboshi.drills.kit.faults import kill
from koboshi.drills.kit.latencies import latencies
from koboshi.drills.kit.own_run import eventually
from koboshi.drills.serving import load_environment
from koboshi.drills.serving.load_environment import RATE, LoadEnvironment, MakeGateway, stack_gateway
from koboshi.events import Sink
from koboshi.settings import Settings

REQUESTS = 2_000
BACK_WITHIN_S, PATIENCE_S, AGAIN_AFTER_S = 30.0, 35.0, 0.1


class RetryingLoad(Load):
    """Asks again when a connection is refused or lost, up to `PATIENCE_S`: a prediction changes nothing."""

    def __init__(self, url: str, questions: Questions, rate: float) -> None:
        """As any load; `refused` are the moments at which a try came to nothing."""
        super().__init__(url, questions, rate)
        self.refused: list[float] = []

    async def post(self, session: aiohttp.ClientSession, body: bytes) -> tuple[aiohttp.ClientResponse, str]:
        """One request, tried until it is answered."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await super().post(session, body)
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
                self.refused.append(time.time())
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(AGAIN_AFTER_S)


class GatewayEnvironment(LoadEnvironment):
    """The champion is asked through a gateway that is killed; somebody has to start it again."""

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        gateway: MakeGateway = stack_gateway,
        requests: int = REQUESTS,
        load: Callable[[str, Questions, float], Load] = RetryingLoad,
    ) -> None:
        """Nothing is done yet; `requests` are to be answered after the injection."""
        super().__init__(settings, emit, gateway, requests, RATE, load)
        self.killed: Sequence[int] = ()

    @property
    def refused(self) -> list[float]:
        """When the clients' tries came to nothing; of clients that ask once, when a request was lost."""
        return sorted(getattr(self._load, "refused", [answer.at_s for answer in self.answers if answer.status == 0]))

    def back_s(self) -> float | None:
        """The first prediction after the last try that came to nothing."""
        after = self.refused[-1:] or [0.0]
        return min((answer.at_s for answer in self.answers if _good(answer) and answer.at_s > after[0]), default=None)

    def kill_the_gateway(self) -> list[Injection | None]:
        """SIGKILL to the gateway, in the middle of the load."""
        self.killed = tuple(self.gateway.pids())
        return [kill("the gateway", self.killed)]

    def finish(self, limit_s: float) -> Finding:
        """Go on until enough was answered after the injection, or the time is over."""
        begun_s = time.time()
        eventually(lambda: self._answered_since(begun_s) >= self.requests, limit_s)
        made = self._answered_since(begun_s)
        self.end_load()
        said = f"{made:,} predictions came after the injection, of at least {self.requests:,}"
        return Finding("load_ended", made >= self.requests, said)

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """From what the clients saw: their first try that came to nothing, and the first prediction after the last."""
        refused, back_s = self.refused[:1], self.back_s()
        events = [Event(at, "suspicion", "a client's connection is lost") for at in refused]
        events += [Event(back_s, "recovery", "the gateway answers again")] if refused and back_s else []
        measures = times_after(injections[0], events) | self.load_measures() | {"redone": float(len(self.refused))}
        measures |= latencies(self.answers, injections, events)
        return Evidence(measures, events, per_second(self.answers, lambda answer: answer.replica))

    def _answered_since(self, moment_s: float) -> int:
        return sum(_good(answer) and answer.at_s > moment_s for answer in self.answers)


def _good(answer: Answer) -> bool:
    return answer.status == OK


def gateway_was_away(environment: GatewayEnvironment, injections: Sequence[Injection]) -> Finding:
    """The fault was felt: the killed processes are gone, and the clients' tries were refused or lost."""
    refused, holds = len(environment.refused), injections[0].took and len(environment.refused) > 0
    return Finding("gateway_was_away", holds, f"process {injections[0].pid} is gone; {refused:,} tries came to nothing")


def endpoint_is_back(environment: GatewayEnvironment, injections: Sequence[Injection]) -> Finding:
    """Other processes listen, and answer again within the time that is allowed."""
    now, back_s = tuple(environment.gateway.pids()), environment.back_s()
    if back_s is None or not now or set(now) & set(environment.killed):
        return Finding("endpoint_is_back", False, f"the gateway's processes: {', '.join(map(str, now)) or 'none'}")
    after_s = back_s - injections[0].at_s
    said = f"process {now[0]} answered {after_s:.1f} s after the injection, of at most {BACK_WITHIN_S:.0f} s"
    return Finding("endpoint_is_back", after_s <= BACK_WITHIN_S, said)


DRILL: Drill[GatewayEnvironment] = Drill(
    name="gateway-killed",
    claim="When the gateway is killed under load it is back within half a minute, and clients that ask again get every "
    "prediction, and the right one.",
    fault="SIGKILL of the gateway under a steady load",
    layer="serving",
    environment=GatewayEnvironment,
    steady=(load_environment.champion_is_served, load_environment.gateway_has_all_replicas),
    inject=GatewayEnvironment.kill_the_gateway,
    within_s=120,
    verdict=(gateway_was_away, endpoint_is_back, load_environment.all_answered, load_environment.all_right),
)
