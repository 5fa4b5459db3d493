"""bad-version: a corrupt version, and one that answers otherwise than it was recorded, are set as champion by hand."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from koboshi.drills.drill import Drill, Event, Evidence, Finding, Injection, times_after
from koboshi.drills.kit.aiohttp_load import OK, Questions, per_second
from koboshi.drills.kit.latencies import latencies
from koboshi.drills.kit.own_run import OwnProcess, Watch, eventually, free_port
from koboshi.drills.serving.load_environment import LoadEnvironment, all_answered, all_right, own_gateway
from koboshi.errors import Unavailable
from koboshi.events import DrillNote, Sink
from koboshi.probes.http_json import call
from koboshi.probes.mlflow_probe import probe_mlflow
from koboshi.settings import SLOT, Settings, required

FIRST, CORRUPT, FALSE, GOOD = 1, 2, 3, 4
REQUESTS, RATE, QUESTIONS = 1_000, 50.0, 50
LOOKED_AT_WITHIN_S, LOOK_S = 60.0, 0.2
KOBOSHI_SERVE = (str(Path(sys.executable).with_name("koboshi")), "serve")


class ReleaseEnvironment(LoadEnvironment):
    """Two replicas; versions 1 (served) and 4 (good), between them 2 (to be corrupted) and 3 (to be falsified)."""

    def __init__(
        self,
        settings: Settings,
        emit: Sink,
        serve: Sequence[str] = KOBOSHI_SERVE,
        patience_s: float = LOOKED_AT_WITHIN_S,
    ) -> None:
        """Nothing is done yet; `serve` is the command that becomes a replica, which has `patience_s` for a version."""
        super().__init__(settings, emit, own_gateway, REQUESTS, RATE)
        self.ports = {"replica-1": free_port(), "replica-2": free_port()}
        self._patience_s = patience_s
        self._serve = tuple(serve)
        self._watch = Watch(self._look, LOOK_S)
        self.seen: list[tuple[float, str, dict[str, Any]]] = []
        self.released_s: float | None = None
        self.version = f"{FIRST} and {GOOD}"

    @property
    def artefacts(self) -> Path:
        """Where the stack's MLflow keeps its files."""
        return self.settings.state_dir / "mlflow" / "artifacts"

    def begin(self) -> None:
        """Record a version and have it served, record the others meanwhile, and ask."""
        from koboshi.drills.kit.mlflow_versions import OwnVersions

        self.folder.mkdir(parents=True)
        self.versions = OwnVersions(required(self.settings.mlflow.tracking_uri, "MLflow"), self.artefacts)
        self.ends.callback(self.versions.remove)
        self.versions.make([FIRST])
        self.versions.point(SLOT, FIRST)
        for name, port in self.ports.items():
            replica = self._replica(name, port)
            self.ends.callback(replica.stop)
            replica.start()
        self.ends.callback(self._watch.stop)
        self._watch.start()
        self.versions.make([CORRUPT, FALSE, GOOD])
        self.begin_load(self.ports, self._questions)

    def finish(self, limit_s: float) -> Finding:
        """Set the good version, and ask on until each replica has taken it and all requests are made."""
        self.released_s = time.time()
        self.versions.point(SLOT, GOOD)
        eventually(lambda: self.serve(GOOD) and len(self.answers) >= self.requests, limit_s)
        self.end_load()
        made = len(self.answers)
        return Finding(
            "load_ended", made >= self.requests, f"{made:,} requests were made, of at least {self.requests:,}"
        )

    def serve(self, version: int) -> bool:
        """Whether every replica serves a version now, as they say themselves."""
        return all(self._last(name).get("version") == version for name in self.ports)

    def refusals(self, version: int) -> dict[str, str]:
        """The replicas that refuse a version, and the cause that each of them names."""
        told = ((name, said["refused"]) for _, name, said in self.seen if said.get("refused"))
        return {name: refused["cause"] for name, refused in told if refused["version"] == version}

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """From the answers, and from what the replicas said of themselves meanwhile."""
        events, good = list(self._events()), [answer.at_s for answer in self.answers if answer.version == str(GOOD)]
        measures = times_after(injections[0], events) | self.load_measures()
        if good:
            measures["recovered_after_s"] = min(good) - injections[0].at_s
        measures |= latencies(self.answers, injections, events)
        series = per_second(self.answers, lambda answer: answer.version and f"version {answer.version}")
        return Evidence(measures, events, series)

    def _replica(self, name: str, port: int) -> OwnProcess:
        environment = {
            "KOBOSHI_PROJECT": str(self.settings.project),
            "KOBOSHI_STATE_DIR": str(self.folder),
            "KOBOSHI_MLFLOW__TRACKING_URI": str(self.settings.mlflow.tracking_uri),
            "KOBOSHI_SERVING__MODEL": self.versions.name,
        }
        return OwnProcess(
            name, [*self._serve, "--slot", SLOT, "--port", str(port), "--name", name], self.folder, environment
        )

    def _questions(self) -> Questions:
        """What versions 1 and 4 answer; no other version may."""
        from koboshi.drills.kit.mlflow_versions import questions, registered

        return questions([registered(self.versions.registry, number) for number in (FIRST, GOOD)], QUESTIONS)

    def await_opinion(self, version: int) -> None:
        """Each replica refuses it, or takes it; or says nothing of it for so long that the drill goes on."""
        if not eventually(lambda: all(self._knows(name, version) for name in self.ports), self._patience_s):
            self.emit(DrillNote(note=f"not every replica has said what it makes of version {version}"))

    def _knows(self, name: str, version: int) -> bool:
        said = self._last(name)
        return said.get("version") == version or (said.get("refused") or {}).get("version") == version

    def _last(self, name: str) -> dict[str, Any]:
        return next((said for _, who, said in reversed(self.seen) if who == name), {})

    def _look(self) -> None:
        for name, port in self.ports.items():
            with suppress(Unavailable):
                self.seen.append((time.time(), name, call(f"http://127.0.0.1:{port}/version")))

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


# What each bad version has to be refused for, as a replica calls it and for people.
CAUSES = {CORRUPT: ("digest", "bytes"), FALSE: ("example", "answers")}


def registry_answers(environment: ReleaseEnvironment) -> Finding:
    """MLflow does real work, and keeps its artefacts on this machine, where they can be spoilt."""
    health = probe_mlflow(required(environment.settings.mlflow.tracking_uri, "MLflow"))
    if not health.ok:
        return Finding("registry_answers", False, f"MLflow does not answer: {health.detail}")
    here = environment.artefacts.is_dir() or (environment.settings.state_dir / "mlflow").is_dir()
    said = "MLflow answers" if here else f"MLflow keeps its artefacts elsewhere, not in {environment.artefacts}"
    return Finding("registry_answers", here, said)


def bad_versions_are_refused(environment: ReleaseEnvironment, injections: Sequence[Injection]) -> Finding:
    """Each replica refuses each bad version, and names the right cause in `/version`."""
    wrong = [f"{injection} did not take" for injection in injections if not injection.took]
    wrong += [
        f"{name} did not refuse version {version} because of its {what}"
        for version, (cause, what) in CAUSES.items()
        for name in environment.ports
        if environment.refusals(version).get(name) != cause
    ]
    well = f"{', '.join(environment.ports)} refused versions {CORRUPT} and {FALSE}, and said why"
    return Finding.unless("bad_versions_are_refused", wrong, well)


def bad_versions_never_answer(environment: ReleaseEnvironment, _injections: Sequence[Injection]) -> Finding:
    """No prediction names a bad version."""
    bad = [a for a in environment.answers if a.status == OK and a.version in {str(CORRUPT), str(FALSE)}]
    named = ", ".join(sorted({answer.version for answer in bad}))
    said = f"{len(bad):,} predictions came from version {named}" if bad else "no prediction came from a bad version"
    return Finding("bad_versions_never_answer", not bad, said)


def good_version_is_taken(environment: ReleaseEnvironment, _injections: Sequence[Injection]) -> Finding:
    """In the end every replica serves the good version, and it answers."""
    answered = sum(answer.version == str(GOOD) for answer in environment.answers)
    holds = environment.serve(GOOD) and answered > 0
    said = f"version {GOOD} gave {answered:,} predictions" if holds else f"not every replica took version {GOOD}"
    return Finding("good_version_is_taken", holds, said)


def set_bad_versions(environment: ReleaseEnvironment) -> list[Injection]:
    """One after the other, each until every replica has looked at it."""
    corrupt = environment.versions.corrupt(SLOT, CORRUPT)
    environment.await_opinion(CORRUPT)
    false = environment.versions.falsify(SLOT, FALSE, by=GOOD)
    environment.await_opinion(FALSE)
    return [corrupt, false]


DRILL: Drill[ReleaseEnvironment] = Drill(
    name="bad-version",
    claim="A version whose bytes or whose answers are not those that were recorded is refused by every replica, which "
    "says why, while the version before answers every request; a good one is taken then.",
    fault="a corrupt version and a false one, set as champion by hand",
    layer="serving",
    environment=ReleaseEnvironment,
    steady=(registry_answers,),
    inject=set_bad_versions,
    within_s=180,
    verdict=(bad_versions_are_refused, bad_versions_never_answer, all_answered, all_right, good_version_is_taken),
    faults=2,
)
