"""Journals of drills as they are really written: made by `make_report` and `save`, from outcomes of each kind."""

import dataclasses
import json
import math
from pathlib import Path

from koboshi.drills.drill import Drill, DrillOutcome, Event, Evidence, Finding, Injection, Series
from koboshi.drills.report import make_report, save

BEGAN_S = 1_795_500_000.0
UNTOUCHED = Finding("invariant_state_kept", True, "your data is unchanged: 18 fingerprints")


def _drill(name: str, layer: str, fault: str, claim: str) -> Drill:
    return Drill(name, claim, fault, layer, None, (), None, 60, ())


def _injected(after_s: float, fault: str, target: str, pid: int | None = None, detail: str = "") -> Injection:
    return Injection(fault, target, BEGAN_S + after_s, 100 + after_s, took=True, pid=pid, detail=detail)


def _at(after_s: float, kind: str, said: str) -> Event:
    return Event(BEGAN_S + after_s, kind, said)


def _answers(of: str, least: float) -> Series:
    """Answers a second, by tenths of a second for a minute; a replica is away from second 20 to 31."""
    seconds = [number / 10 for number in range(600)]
    rates = [least if 20 < at < 31 else 240 + 14 * math.sin(at * 2.1) + 9 * math.sin(at * 7.3) for at in seconds]
    return Series(of, "1/s", [(BEGAN_S + at, rate) for at, rate in zip(seconds, rates, strict=True)])


REPLICA = (
    _drill(
        "replica-killed",
        "serving",
        "SIGKILL of a replica under a steady load of requests",
        "Every request is answered, and answered rightly, while a replica dies and comes back.",
    ),
    DrillOutcome(
        "proved",
        [
            Finding("all_replicas_answer", True, "3 of 3 replicas answer with version 4"),
            Finding("load_ended", True, "14,312 requests were sent in 60.0 s"),
            Finding("all_answered_and_right", True, "14,312 of 14,312 answers equal those of the undisturbed model"),
            Finding("share_is_back", True, "replica-2 answered 33.1 % of the last 3,000 requests"),
            UNTOUCHED,
        ],
        [_injected(20, "SIGKILL", "replica-2", 20417, "while it held 11 requests")],
        Evidence(
            {
                "detected_after_s": 0.21,
                "recovered_after_s": 11.04,
                "lost": 0,
                "doubled": 0,
                "redone": 11,
                "requests": 14312,
                "p99_ms": 41.3,
                "wrong": 0,
            },
            [
                _at(20.21, "suspicion", "the gateway took replica-2 out of rotation"),
                _at(23.4, "note", "replica-2 was started again (pid 20733)"),
                _at(30.2, "note", "replica-2 verified version 4 and loaded it"),
                _at(31.04, "recovery", "replica-2 answered its first request again"),
            ],
            [_answers("answers of all replicas", 228.0), _answers("answers of replica-2", 0.0)],
        ),
    ),
)

WORKER = (
    _drill(
        "ray-worker-killed",
        "training",
        "SIGKILL of the actor in the middle of a step",
        "A training goes on from its last committed step when a worker is killed in the middle of the next one, "
        "and ends with the undisturbed models.",
    ),
    DrillOutcome(
        "proved",
        [
            Finding("ray_has_nodes", True, "2 Ray nodes with CPUs are alive"),
            Finding("training_ended", True, "the training ended 6.6 s after the injection"),
            Finding("killed_once", True, "workers that died: koboshi-c8ef2fc4b406d5e2-1-1 (pid 10661)"),
            Finding(
                "predictions_equal_the_control", True, "forest, boosting: predictions equal the control's bit for bit"
            ),
            UNTOUCHED,
        ],
        [_injected(12.4, "SIGKILL", "ray::UnitWorker.forest/step-4", 10661, "0.11 s of work into it")],
        Evidence(
            {"detected_after_s": 0.04, "recovered_after_s": 0.97, "redone": 1.0},
            [
                *(_at(9 + 0.6 * number, "note", f"step committed: unit forest, step {number}") for number in range(6)),
                _at(12.44, "suspicion", "worker died: unit forest, step 4, worker koboshi-c8ef2fc4b406d5e2-1-1"),
                _at(13.37, "recovery", "recovered: unit forest, step 4"),
            ],
            [Series("committed steps", "", [(BEGAN_S + 9 + 0.35 * n, float(n)) for n in range(30)])],
        ),
    ),
)

ZOMBIE = (
    _drill(
        "zombie-lander",
        "ingest",
        "SIGSTOP of the lander past its lease, another lands on, SIGCONT",
        "A lander that wakes up after its lease has passed commits nothing.",
    ),
    DrillOutcome(
        "refuted",
        [
            Finding("stream_is_there", True, "2 partitions with 4,000 records"),
            Finding("landing_ended", True, "the second lander reached the end 3.1 s after the injection"),
            Finding("zombie_committed_nothing", False, "offset 812 of partition 1 is in two committed spans"),
            Finding("audit_equal", False, "4,188 records landed, the broker has 4,000"),
            UNTOUCHED,
        ],
        [
            _injected(4.0, "SIGSTOP", "the first lander", 8112),
            _injected(9.5, "SIGCONT", "the first lander", 8112, "5.50 s later, 2.50 s past its lease"),
        ],
        Evidence(
            {"detected_after_s": 3.02, "recovered_after_s": 3.4, "lost": 0, "doubled": 188, "redone": 2},
            [
                _at(7.02, "suspicion", "the lease of the first lander has passed"),
                _at(7.4, "recovery", "the second lander committed a span"),
            ],
            [Series("records landed", "1/s", [(BEGAN_S + n / 2, 0.0 if 8 < n < 15 else 820.0) for n in range(26)])],
        ),
    ),
)

AWAY = (
    _drill(
        "tracker-killed",
        "tracking",
        "SIGKILL of MLflow while a training records into it",
        "Serving goes on while MLflow is away, and the run is complete afterwards, without a ghost.",
    ),
    DrillOutcome("unknown", [Finding("mlflow_answers", False, "MLflow does not answer: see `koboshi status`")]),
)

THRICE = (
    _drill("landing-killed", "ingest", "SIGKILL of three landers", "Landers that are killed lose and double nothing."),
    DrillOutcome(
        "proved",
        [Finding("landed_equals_the_broker", True, "9,000 records, each once"), UNTOUCHED],
        [_injected(after_s, "SIGKILL", "lander", 4711) for after_s in (2.0, 8.0, 20.0)],
        Evidence(
            {"detected_after_s": 3.0, "recovered_after_s": 5.0, "lost": 0, "doubled": 0, "redone": 2},
            [
                _at(4.0, "suspicion", "another lander takes over"),
                _at(12.0, "recovery", "partition 0 is landed"),
                _at(4.0, "suspicion", "another lander takes over"),
                _at(12.0, "recovery", "partition 0 is landed"),
                _at(23.0, "suspicion", "another lander takes over"),
                _at(25.0, "recovery", "partition 1 is landed"),
            ],
            [Series("records landed", "1/s", [(BEGAN_S + second, 750.0) for second in (0, 12, 25, 60)])],
        ),
    ),
)

ALL = (REPLICA, WORKER, ZOMBIE, AWAY)
FORMAT_1 = {
    "format": 1,
    "drill": "landing-killed",
    "claim": "A lander killed in the middle of a file is followed by one that lands the same bytes.",
    "fault": "SIGKILL of the lander in the middle of a file",
    "at_s": BEGAN_S,
    "took_s": 8.5,
    "outcome": {
        "verdict": "proved",
        "findings": [{"check": "audit_equal", "holds": True, "said": "4,000 records, all as the broker has them"}],
        "strike": {
            "pid": 7,
            "doing": "landing",
            "cpu_s": 0.1,
            "at_s": BEGAN_S + 2,
            "at_monotonic": 2.0,
            "gone": True,
        },
        "measures": {"recovered_after_s": 1.5},
    },
}


def save_journal(folder: Path, drill: Drill, outcome: DrillOutcome, at_s: float = BEGAN_S) -> Path:
    """Leave one in the folder of its drill, as `koboshi drill run` does."""
    report = make_report(drill, outcome, at_s, Path(__file__).parent)
    return save(folder, dataclasses.replace(report, took_s=64.2))


def save_all(folder: Path) -> list[Path]:
    """One journal of each kind: proved twice, refuted, unknown, and one of format 1."""
    old = folder / "landing-killed" / "20261124T060000-000.json"
    old.parent.mkdir(parents=True)
    old.write_text(json.dumps(FORMAT_1))
    return [old, *(save_journal(folder, drill, outcome) for drill, outcome in ALL)]
