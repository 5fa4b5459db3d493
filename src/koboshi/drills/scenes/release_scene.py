"""The scene of bad-version: replicas and a gateway of the drill's own, which follow a model of its own."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from koboshi.drills.evidence import Event, Evidence, Finding
from koboshi.drills.scenes.aiohttp_load import Questions
from koboshi.drills.scenes.answers import per_second
from koboshi.drills.scenes.envoy_gateway import own_gateway
from koboshi.drills.scenes.load_scene import LoadScene, wait_until
from koboshi.drills.scenes.own_processes import OwnProcess, free_port
from koboshi.drills.strike import Strike
from koboshi.errors import Unavailable
from koboshi.probes.http_json import call
from koboshi.settings import Settings, required

SLOT = "champion"
FIRST, CORRUPT, FALSE, GOOD = 1, 2, 3, 4
REQUESTS, RATE, QUESTIONS = 1_000, 50.0, 50
LOOKED_AT_WITHIN_S, LOOK_S = 60.0, 0.2
KOBOSHI_SERVE = (str(Path(sys.executable).with_name("koboshi")), "serve")


class ReleaseScene(LoadScene):
    """Two replicas; versions 1 (served) and 4 (good), between them 2 (to be corrupted) and 3 (to be falsified)."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        serve: Sequence[str] = KOBOSHI_SERVE,
        patience_s: float = LOOKED_AT_WITHIN_S,
    ) -> None:
        """Nothing is done yet; `serve` is the command that becomes a replica, which has `patience_s` for a version."""
        super().__init__(settings, say, own_gateway, REQUESTS, RATE)
        self.ports = {"replica-1": free_port(), "replica-2": free_port()}
        self._patience_s = patience_s
        self._serve, self._replicas = tuple(serve), list[OwnProcess]()
        self._looks = threading.Event()
        self._looker = threading.Thread(target=self._look, name="version-watch", daemon=True)
        self.seen: list[tuple[float, str, dict[str, Any]]] = []
        self.released_s: float | None = None
        self.version = f"{FIRST} and {GOOD}"

    @property
    def artefacts(self) -> Path:
        """Where the stack's MLflow keeps its files."""
        return self.settings.state_dir / "mlflow" / "artifacts"

    def begin(self) -> None:
        """Record a version and have it served, record the others meanwhile, and ask."""
        from koboshi.drills.scenes.mlflow_versions import OwnVersions

        self.folder.mkdir(parents=True)
        self.versions = OwnVersions(required(self.settings.mlflow.tracking_uri, "MLflow"), self.artefacts)
        self.versions.make([FIRST])
        self.versions.point(SLOT, FIRST)
        for name, port in self.ports.items():
            self._replicas.append(self._replica(name, port))
            self._replicas[-1].start()
        self._looker.start()
        self.versions.make([CORRUPT, FALSE, GOOD])
        self.begin_load(self.ports, self._questions)

    def corrupt(self) -> Strike:
        """The first fault; returns when each replica has looked at the version."""
        strike = self.versions.corrupt(SLOT, CORRUPT)
        self._await_opinion(CORRUPT)
        return strike

    def falsify(self) -> Strike:
        """The second fault; returns when each replica has looked at the version."""
        strike = self.versions.falsify(SLOT, FALSE, by=GOOD)
        self._await_opinion(FALSE)
        return strike

    def finish(self, limit_s: float) -> Finding:
        """Set the good version, and ask on until each replica has taken it and all requests are made."""
        self.released_s = time.time()
        self.versions.point(SLOT, GOOD)
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline and not (self.serve(GOOD) and len(self.answers) >= self.requests):
            time.sleep(LOOK_S)
        self.end_load()
        made = len(self.answers)
        return Finding(
            "load_ended", made >= self.requests, f"{made:,} requests were made, of at least {self.requests:,}"
        )

    def serve(self, version: int) -> bool:
        """Whether every replica serves a version now, as they say themselves."""
        return all(self._last(name).get("version") == version for name in self.ports)

    def refusals(self, version: int) -> dict[str, str]:
        """The replicas that said of a version that they refuse it, and why."""
        told = ((name, said["refused"]) for _, name, said in self.seen if said.get("refused"))
        return {name: refused["reason"] for name, refused in told if refused["version"] == version}

    def logged(self, version: int) -> list[str]:
        """The replicas whose logs say that a version is refused."""
        return [r.name for r in self._replicas if any(f"version {version} is refused" in line for line in r.told())]

    def evidence(self, strikes: Sequence[Strike]) -> Evidence:
        """From the answers, and from what the replicas said of themselves meanwhile."""
        first = strikes[0].at_s
        refused = min((at for at, _, said in self.seen if said.get("refused")), default=None)
        good = min((a.at_s for a in self.answers if a.version == str(GOOD)), default=None)
        times = {"detected_after_s": refused, "recovered_after_s": good}
        after = {name: at - first for name, at in times.items() if at is not None}
        series = per_second(self.answers, lambda answer: answer.version and f"version {answer.version}")
        return Evidence({**after, **self.load_measures()}, list(self._events()), series)

    def close(self, *, keep_files: bool) -> None:
        """End load, gateway and replicas, and take the drill's model out of MLflow."""
        self._looks.set()
        super().close(keep_files=keep_files)
        for replica in self._replicas:
            replica.stop()
        if hasattr(self, "versions"):
            self.versions.remove()

    def _replica(self, name: str, port: int) -> OwnProcess:
        environment = {
            "KOBOSHI_PROJECT": str(self.settings.project),
            "KOBOSHI_STATE_DIR": str(self.folder),
            "KOBOSHI_MLFLOW__TRACKING_URI": str(self.settings.mlflow.tracking_uri),
            "KOBOSHI_SERVING__MODEL": self.versions.name,
        }
        command = [*self._serve, "--slot", SLOT, "--port", str(port), "--name", name]
        return OwnProcess(name, command, self.folder, environment)

    def _questions(self) -> Questions:
        """What versions 1 and 4 answer; no other version may."""
        from koboshi.drills.scenes.mlflow_model import questions, registered

        return questions([registered(self.versions.registry, number) for number in (FIRST, GOOD)], QUESTIONS)

    def _await_opinion(self, version: int) -> None:
        """Each replica refuses it, or takes it; or says nothing of it for so long that the drill goes on."""
        try:
            wait_until(lambda: all(self._knows(name, version) for name in self.ports), self._patience_s, "no opinion")
        except Unavailable:
            self.say(f"not every replica has said what it makes of version {version}")

    def _knows(self, name: str, version: int) -> bool:
        said = self._last(name)
        return said.get("version") == version or (said.get("refused") or {}).get("version") == version

    def _last(self, name: str) -> dict[str, Any]:
        return next((said for _, who, said in reversed(self.seen) if who == name), {})

    def _look(self) -> None:
        while not self._looks.wait(LOOK_S):
            for name, port in self.ports.items():
                try:
                    self.seen.append((time.time(), name, call(f"http://127.0.0.1:{port}/version")))
                except Unavailable:
                    continue

    def _events(self) -> Iterator[Event]:
        told: set[tuple[str, int]] = set()
        for at, name, said in self.seen:
            if (refused := said.get("refused")) and (name, refused["version"]) not in told:
                told.add((name, refused["version"]))
                yield Event(at, "suspicion", f"{name} refuses version {refused['version']}")
        if self.released_s:
            yield Event(self.released_s, "note", f"version {GOOD}, a good one, was set as {SLOT}")
        for name in self.ports:
            taken = [at for at, who, said in self.seen if who == name and said.get("version") == GOOD]
            if taken:
                yield Event(taken[0], "recovery", f"{name} serves version {GOOD}")
