"""The scene of the replica drills: a steady load on the champion, through the gateway, while one replica is struck."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from koboshi.drills.evidence import Event, Evidence, Finding
from koboshi.drills.scenes.aiohttp_load import Questions
from koboshi.drills.scenes.answers import per_second, share, silence
from koboshi.drills.scenes.envoy_gateway import MakeGateway, Watch, stack_gateway
from koboshi.drills.scenes.load_scene import LOOK_S, LoadScene
from koboshi.drills.strike import Strike
from koboshi.settings import Settings, required
from koboshi.stack.operate import known_parts
from koboshi.stack.places import find_places

if TYPE_CHECKING:
    from koboshi.registry.mlflow_registry import MlflowRegistry

SLOT = "champion"
REQUESTS, RATE = 5_000, 250.0
LAST, HELD = 500, 1_500
QUESTIONS = 100


class ServingScene(LoadScene):
    """The stack's replicas and its gateway, or another gateway before them; nothing that is the user's is changed."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        gateway: MakeGateway = stack_gateway,
        requests: int = REQUESTS,
        rate: float = RATE,
    ) -> None:
        """Nothing is done yet; `rate` is how many requests are made a second."""
        super().__init__(settings, say, gateway, requests, rate)
        self._watch: Watch | None = None
        self._heal: Callable[[], None] | None = None
        self._healed_s: float | None = None
        self.final_share = 0.0

    @property
    def replicas(self) -> dict[str, int]:
        """The ports of the stack's replicas, by name."""
        parts = known_parts(find_places(self.settings.project, self.settings.state_dir)).values()
        return {part.name: part.ports[0] for part in parts if part.group == "replicas"}

    @property
    def victim(self) -> str:
        """The replica that is struck."""
        return list(self.replicas)[1]

    def registry(self) -> "MlflowRegistry":
        """Where the champion is registered."""
        from koboshi.registry.mlflow_registry import MlflowRegistry

        return MlflowRegistry(required(self.settings.mlflow.tracking_uri, "MLflow"), self.settings.serving.model)

    def routes(self) -> dict[str, int]:
        """Where the gateway sends what is for a replica: its port."""
        return self.replicas

    def heals_by(self, heal: Callable[[], None]) -> None:
        """The fault does not end by itself: this ends it, once the others have answered for a while."""
        self._heal = heal

    def begin(self) -> None:
        """Ask the registered model itself what is right, and start the load; returns when every replica answers."""
        self.folder.mkdir(parents=True)
        routes = self.routes()
        self.begin_load(routes, self._questions)
        self._watch = Watch(self.gateway, routes[self.victim])

    def finish(self, limit_s: float) -> Finding:
        """Go on until all requests are made and the struck replica has its share again, or the time is over."""
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
        said = f"{made:,} requests in {took_s:.0f} s of load after the strike ({made / took_s:.0f}/s)"
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

    def evidence(self, strikes: Sequence[Strike]) -> Evidence:
        """From the answers as the client got them, and from what the gateway's own counters showed meanwhile."""
        answers, strike = self.answers, strikes[0]
        trouble = self._watch.first_trouble(strike.at_s) if self._watch else None
        quiet = silence(answers, self.victim, strike.at_s)
        times = {"detected_after_s": trouble, "recovered_after_s": quiet[1] if quiet else None}
        after = {name: at - strike.at_s for name, at in times.items() if at is not None}
        series = per_second(answers, lambda answer: answer.replica)
        return Evidence({**after, **self.load_measures()}, list(self._events(trouble, quiet)), series)

    def close(self, *, keep_files: bool) -> None:
        """Let go on what was stopped, and end what was started."""
        self.heal()
        if self._watch:
            self._watch.close()
        super().close(keep_files=keep_files)

    def _questions(self) -> Questions:
        from koboshi.drills.scenes.mlflow_model import questions, registered

        registry = self.registry()
        model = registered(registry, registry.aliased(SLOT))
        self.version = str(model.ref.version)
        return questions([model], QUESTIONS)

    def _events(self, trouble: float | None, quiet: tuple[float, float] | None) -> Iterator[Event]:
        if trouble:
            yield Event(trouble, "suspicion", f"a try on {self.victim} failed, says the gateway")
        for at, healthy in self._watch.changes() if self._watch else ():
            yield Event(at, "note", f"the gateway sends {'again' if healthy else 'nothing more'} to {self.victim}")
        if self._healed_s:
            yield Event(self._healed_s, "note", "the fault was ended")
        if quiet:
            yield Event(quiet[1], "recovery", f"{self.victim} answers again")
