"""What the serving drills have in common: predictions asked for through a gateway, while something is struck."""

import time
from collections.abc import Callable, Collection, Mapping

from koboshi.drills.run_folder import leave, new_run_folder
from koboshi.drills.scenes.aiohttp_load import Load, Questions
from koboshi.drills.scenes.answers import OK, Answer, failures, percentile_ms
from koboshi.drills.scenes.envoy_gateway import Gateway, MakeGateway
from koboshi.errors import BadInput, Unavailable
from koboshi.settings import Settings

WARM = 300
READY_WITHIN_S = 60.0
LOOK_S = 0.05


class LoadScene:
    """A folder, a gateway and a load, of one drill; `requests` is how many are asked after the strike, at least."""

    def __init__(
        self, settings: Settings, say: Callable[[str], None], gateway: MakeGateway, requests: int, rate: float
    ) -> None:
        """Nothing is done yet."""
        self.settings, self.say = settings, say
        self.requests, self._rate, self._make_gateway = requests, rate, gateway
        self.folder = new_run_folder(settings)
        self._gateway: Gateway | None = None
        self._load: Load | None = None
        self.version = ""  # what may answer, for people

    @property
    def answers(self) -> list[Answer]:
        """What was answered until now."""
        return list(self._load.answers) if self._load else []

    @property
    def gateway(self) -> Gateway:
        """Where predictions are asked for."""
        if self._gateway is None:
            raise BadInput("the drill's own work has not begun.")
        return self._gateway

    def begin_load(self, routes: Mapping[str, int], asked: Callable[[], Questions]) -> None:
        """Have a gateway with all these replicas (ports by name), and ask until each has answered."""
        gateway = self._gateway = self._make_gateway(self.settings, self.folder, routes)
        questions = asked()  # takes a while, in which the gateway finds its replicas
        wait_until(lambda: _has_all(gateway, routes.values()), READY_WITHIN_S, "the gateway does not have all replicas")
        load = self._load = Load(gateway.url, questions, self._rate)
        load.start()
        wait_until(lambda: _is_warm(load, routes), READY_WITHIN_S, "not every replica answers")
        self.say(f"{load.settle(WARM // 2):.0f} predictions a second are asked for")

    def end_load(self) -> None:
        """Ask nothing more; what is under way is answered."""
        if self._load:
            self._load.stop()

    def load_measures(self) -> dict[str, float]:
        """The standard measures, as the client saw them, and the times of good answers."""
        answers = self.answers
        good = [answer for answer in answers if answer.status == OK]
        return {
            "lost": float(failures(answers).total()),
            "doubled": float(sum(answer.rows > 1 for answer in good)),
            "redone": float(sum(answer.tries - 1 for answer in good)),
            "wrong": float(sum(not answer.right for answer in good)),
            "requests": float(len(answers)),
            "p50_ms": percentile_ms(good, 50),
            "p99_ms": percentile_ms(good, 99),
            "slowest_ms": percentile_ms(good, 100),
        }

    def close(self, *, keep_files: bool) -> None:
        """End load and gateway."""
        self.end_load()
        if self._gateway:
            self._gateway.close()
        leave(self.folder, keep_files=keep_files, say=self.say)


def _has_all(gateway: Gateway, ports: Collection[int]) -> bool:
    try:
        hosts = gateway.hosts()
    except Unavailable:
        return False
    return all(hosts.get(port, {}).get("healthy") for port in ports)


def _is_warm(load: Load, replicas: Collection[str]) -> bool:
    answered = {answer.replica for answer in load.answers if answer.status == OK}
    return len(load.answers) >= WARM and answered.issuperset(replicas)


def wait_until(question: Callable[[], bool], within_s: float, what: str) -> None:
    """Return when the answer is yes; raises `Unavailable`, saying `what`, when it is not in time."""
    deadline = time.monotonic() + within_s
    while not question():
        if time.monotonic() > deadline:
            raise Unavailable(f"{what} after {within_s:.0f} s: see `koboshi status`.")
        time.sleep(LOOK_S)
