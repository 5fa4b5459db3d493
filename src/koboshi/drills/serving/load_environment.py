"""What the drills of serving share: the gateway, the champion and its replicas, predictions asked for, and checks.

The gateway is the stack's or one of the drill's own; what Envoy itself counts of each replica is looked at, too.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from koboshi.drills.drill import Finding, Injection
from koboshi.drills.kit.aiohttp_load import OK, Answer, Load, Questions, failures, percentile_ms
from koboshi.drills.kit.faults import processes_of
from koboshi.drills.kit.own_run import OwnProcess, OwnRun, Watch, eventually, free_port
from koboshi.errors import BadInput, Unavailable
from koboshi.events import DrillNote, Sink
from koboshi.gateways.envoy import ENVOY
from koboshi.gateways.gateway import Front, ReplicaSeen
from koboshi.probes.http_json import call
from koboshi.settings import Settings, required
from koboshi.stack.lifecycle import known_parts
from koboshi.stack.paths import find_paths

if TYPE_CHECKING:
    from koboshi.registry.mlflow_registry import MlflowRegistry


Render = Callable[[Front], str]


class Gateway:
    """Where predictions are asked for (`url`), and where Envoy tells of itself (`admin`). Made, it runs already."""

    def __init__(
        self, url: str, admin: str, pids: Callable[[], Sequence[int]] = tuple, process: OwnProcess | None = None
    ) -> None:
        """`pids` tells its processes; `process` is ended with the drill, when the gateway is the drill's own."""
        self.url, self.pids, self._admin, self._process = url, pids, admin, process

    def hosts(self) -> dict[int, ReplicaSeen]:
        """What Envoy knows of each replica, by port."""
        return ENVOY.observe(self._admin)

    def close(self) -> None:
        """End a gateway of one's own."""
        if self._process is not None:
            self._process.stop()


MakeGateway = Callable[[Settings, Path, Mapping[str, int]], Gateway]
"""A gateway in front of replicas (ports by name), with a folder for what it needs."""


def stack_gateway(settings: Settings, _folder: Path, _replicas: Mapping[str, int]) -> Gateway:
    """The one that the stack runs, which has its replicas already."""
    parts = known_parts(find_paths(settings.project, settings.state_dir))
    if "gateway" not in parts:
        raise Unavailable("the stack has no gateway of its own: start it with `koboshi up`.")
    _listen, admin = parts["gateway"].ports
    url = required(settings.gateway.url, "the gateway")
    return Gateway(url, f"http://127.0.0.1:{admin}", partial(processes_of, settings, "gateway"))


def own_gateway(
    _settings: Settings, folder: Path, replicas: Mapping[str, int], render: Render = ENVOY.render
) -> Gateway:
    """A process of the drill's, with the configuration that the stack's gateway has, or another one."""
    listen, admin = free_port(), free_port()
    configuration = folder / "envoy.yaml"
    configuration.write_text(render(Front(listen, admin, replicas)))
    process = OwnProcess("gateway", ENVOY.command(configuration), folder, {})
    process.start()
    return Gateway(f"http://127.0.0.1:{listen}", f"http://127.0.0.1:{admin}", process.pids, process)


class ReplicaWatch(Watch):
    """Looks at one replica in the gateway's eyes, ten times a second: when it was first troubled, when out, when in."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        """Begin to look; what was counted before is no news."""
        super().__init__(self._look, WATCH_S)
        self.seen: list[tuple[float, bool, int]] = []
        self._gateway, self._port = gateway, port
        self.start()

    def first_trouble(self, after_s: float) -> float | None:
        """When, after some moment, a try on this replica was first seen to have failed, or the replica to be out."""
        before = max((troubles for at, _, troubles in self.seen if at <= after_s), default=0)
        return next((at for at, healthy, n in self.seen if at > after_s and (n > before or not healthy)), None)

    def changes(self) -> list[tuple[float, bool]]:
        """When it was taken out (False) and in again (True)."""
        pairs = zip(self.seen, self.seen[1:], strict=False)
        return [(at, healthy) for (_, before, _), (at, healthy, _) in pairs if healthy != before]

    def _look(self) -> None:
        with suppress(Unavailable, KeyError):
            host = self._gateway.hosts()[self._port]
            self.seen.append((time.time(), host.healthy, host.troubles))


REQUESTS, RATE, QUESTIONS = 5_000, 250.0, 100
WARM = 300
READY_WITHIN_S = 60.0
LOOK_S, WATCH_S, IN_S = 0.05, 0.1, 15.0
SHOWN = 3


class LoadEnvironment:
    """A folder, a gateway and a load, of one drill: the champion is asked, and nothing of the user's is changed."""

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        gateway: MakeGateway = stack_gateway,
        requests: int = REQUESTS,
        rate: float = RATE,
        load: Callable[[str, Questions, float], Load] = Load,
    ) -> None:
        """Nothing is done yet; `requests` are made after the injection, at least, and `rate` a second, by `load`."""
        self.settings, self.emit, self._own = settings, emit, OwnRun(settings, emit)
        self.folder, self.ends = self._own.folder, self._own.ends
        self.requests, self._rate, self._make_gateway, self._make_load = requests, rate, gateway, load
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

    @property
    def replicas(self) -> dict[str, int]:
        """The ports of the stack's replicas, by name."""
        parts = known_parts(find_paths(self.settings.project, self.settings.state_dir)).values()
        return {part.name: part.ports[0] for part in parts if part.group == "replicas"}

    def registry(self) -> "MlflowRegistry":
        """Where the champion is registered."""
        from koboshi.registry.mlflow_registry import MlflowRegistry

        return MlflowRegistry(required(self.settings.mlflow.tracking_uri, "MLflow"), self.settings.serving.model)

    def begin(self) -> None:
        """Ask the registered model itself what is right, and start the load; returns when every replica answers."""
        self.folder.mkdir(parents=True)
        self.begin_load(self.replicas, self.champions_questions)

    def champions_questions(self) -> Questions:
        """What is asked of the champion, and what is right."""
        from koboshi.drills.kit.mlflow_versions import questions, registered

        registry = self.registry()
        model = registered(registry, registry.aliased(self.settings.serving.slot))
        self.version = str(model.ref.version)
        return questions([model], QUESTIONS)

    def begin_load(self, routes: Mapping[str, int], asked: Callable[[], Questions]) -> None:
        """Have a gateway with all these replicas (ports by name), and ask until each has answered."""
        gateway = self._gateway = self._make_gateway(self.settings, self.folder, routes)
        self.ends.callback(gateway.close)
        questions = asked()  # takes a while, in which the gateway finds its replicas
        _require(lambda: _has_all(gateway, routes.values()), "the gateway does not have all replicas")
        load = self._load = self._make_load(gateway.url, questions, self._rate)
        self.ends.callback(load.stop)
        load.start()
        _require(lambda: _is_warm(load, routes), "not every replica answers")
        self.emit(DrillNote(note=f"{load.settle(WARM // 2):.0f} predictions a second are asked for"))

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
        """End what was started, the load before the gateway."""
        self._own.close(keep_files=keep_files)


def _has_all(gateway: Gateway, ports: Collection[int]) -> bool:
    try:
        hosts = gateway.hosts()
    except Unavailable:
        return False
    return all(port in hosts and hosts[port].healthy for port in ports)


def _is_warm(load: Load, replicas: Collection[str]) -> bool:
    answered = {answer.replica for answer in load.answers if answer.status == OK}
    return len(load.answers) >= WARM and answered.issuperset(replicas)


def _require(question: Callable[[], bool], what: str) -> None:
    """Return when the answer is yes; raises `Unavailable`, saying `what`, when it is not in time."""
    if not eventually(question, READY_WITHIN_S, look_s=LOOK_S):
        raise Unavailable(f"{what} after {READY_WITHIN_S:.0f} s: see `koboshi status`.")


def champion_is_served(environment: LoadEnvironment) -> Finding:
    """Every replica of this machine's stack answers with the version that the registry calls champion."""
    replicas, found, slot = environment.replicas, {}, environment.settings.serving.slot
    if len(replicas) < 2:
        return Finding("champion_is_served", False, "this stack has no replicas: start them with `koboshi up`")
    for name, port in replicas.items():
        found[name] = call(f"http://127.0.0.1:{port}/version")["version"]
    champion = environment.registry().aliased(slot)
    if champion is None:
        said = f"nothing has been promoted to {slot} yet, so there is nothing to serve: `make demo` does it"
        return Finding("champion_is_served", False, said)
    told = ", ".join(f"{name} version {version}" for name, version in found.items())
    holds = set(found.values()) == {champion}
    return Finding("champion_is_served", holds, f"version {champion} is {slot}; the replicas serve: {told}")


def gateway_has_all_replicas(environment: LoadEnvironment) -> Finding:
    """The stack's gateway sends to every replica; one that has just come back has some seconds to be taken in."""
    replicas = environment.replicas
    gateway = stack_gateway(environment.settings, environment.settings.state_dir, replicas)
    all_in = eventually(lambda: _sent_to(gateway) >= len(replicas), IN_S, look_s=LOOK_S)
    return Finding("gateway_has_all_replicas", all_in, f"the gateway sends to {_sent_to(gateway)}")


def _sent_to(gateway: Gateway) -> int:
    return sum(host.healthy for host in gateway.hosts().values())


def all_answered(environment: LoadEnvironment, _injections: Sequence[Injection]) -> Finding:
    """Not one request failed."""
    answers, failed = environment.answers, failures(environment.answers)
    if failed:
        told = "; ".join(f"{count} x {said}" for said, count in failed.most_common(SHOWN))
        return Finding("all_answered", False, f"{failed.total():,} of {len(answers):,} requests failed ({told})")
    slowest = percentile_ms(answers, 100)
    return Finding("all_answered", True, f"all of {len(answers):,} requests were answered, the slowest in {slowest} ms")


def all_right(environment: LoadEnvironment, _injections: Sequence[Injection]) -> Finding:
    """Every prediction is what the version that its header names predicts, and that version is the champion."""
    given = [answer for answer in environment.answers if answer.status == OK]
    wrong = [answer for answer in given if not answer.right]
    if wrong or not given:
        versions = ", ".join(sorted({answer.version or "none" for answer in wrong})) or "none"
        said = f"{len(wrong):,} of {len(given):,} predictions are wrong (versions {versions})"
        return Finding("all_right", False, said)
    said = f"{len(given):,} predictions equal those of version {environment.version} itself, bit for bit"
    return Finding("all_right", True, said)
