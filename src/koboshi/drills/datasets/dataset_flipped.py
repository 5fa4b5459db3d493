"""dataset-flipped: a byte rots in DVC's cache, and another one in a landed span."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from koboshi.datasets import dvc_cache
from koboshi.drills.datasets.small_stages import NUMBERS, RESULT, TABLE, TOTAL, table_numbers
from koboshi.drills.drill import Drill, Event, EventKind, Evidence, Finding, Injection
from koboshi.drills.kit.confluent_topic import OwnTopic, kafka_works
from koboshi.drills.kit.faults import flip_byte
from koboshi.drills.kit.own_run import OwnRun
from koboshi.errors import Permanent, Unavailable
from koboshi.events import Sink
from koboshi.exits import EXIT_FILE_VARIABLE
from koboshi.files import tree_digest
from koboshi.ingest.audit import PartitionVerdict
from koboshi.orchestration.workspaces import Workspace
from koboshi.settings import Settings, required

RECORDS, PARTITIONS = 20_000, 2
RIGHT_TOTAL = json.dumps({"count": RECORDS, "sum": sum(range(RECORDS))})  # of what is sent
COMMAND_LIMIT_S = 120.0
READER = ("-m", "koboshi.drills.datasets.small_stages", TOTAL)
MAKER = ("-m", "koboshi.drills.datasets.small_stages", NUMBERS)
KINDS: Mapping[str, EventKind] = {"checkout": "note", "read": "suspicion", "make": "suspicion", "repro": "recovery"}


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """How a command ended, when, and what it said."""

    at_s: float
    code: int
    said: str

    def __str__(self) -> str:
        return f"ended with {self.code}" + (f", {self.said}" if self.said else "")


class DatasetEnvironment:
    """Whole numbers are landed, pinned, made into a table by one stage and read by another, all by the usual ways."""

    def __init__(self, settings: Settings, emit: Sink, reader: Sequence[str] = READER) -> None:
        """Nothing is done yet; `reader` are the arguments for Python of the stage that reads the table."""
        self.settings, self.emit, self._own = settings, emit, OwnRun(settings, emit)
        self.folder, self.ends = self._own.folder, self._own.ends
        self._reader = tuple(reader)
        self.project, self.state_dir = self.folder / "project", self.folder / "state"
        self.told: dict[str, Told] = {}
        self.audits: dict[str, list[PartitionVerdict]] = {}
        self.repaired: list[Path] = []
        self.read_total = ""
        self.before: dict[str, str] = {}

    def begin(self) -> None:
        """Fill the topic, land it, pin it and have the pipeline made once."""
        from koboshi.drills.datasets.landed_numbers import LandedNumbers

        servers = required(self.settings.kafka.bootstrap_servers, "Kafka")
        self._write_project()
        topic = OwnTopic(servers, f"koboshi-drill-{self.folder.name}", PARTITIONS)
        self.ends.callback(topic.delete)
        topic.make()
        topic.fill((number % PARTITIONS, None, str(number).encode()) for number in range(RECORDS))
        self.landed = LandedNumbers(servers, topic.name, self.state_dir)
        self.landed.land_and_pin(self.project)
        made = self._run("-m", "dvc", "repro", "--quiet")
        if made.code != 0:
            raise Unavailable(f"the pipeline was not made: {made.said}")
        self.before = self.digests()

    @property
    def object(self) -> Path:
        """The table's object in DVC's cache, named by the MD5 of its bytes."""
        md5 = hashlib.md5((self.project / "data" / NUMBERS / TABLE).read_bytes(), usedforsecurity=False).hexdigest()
        return self.folder / "cache" / "files" / "md5" / md5[:2] / md5[2:]

    def flip_two_bytes(self) -> list[Injection]:
        """One where DVC keeps the table, one where the lander put the records that it is made of."""
        self.flipped_object, self.flipped_span = self.object, self.landed.files()[0]
        return [
            flip_byte(self.flipped_object, f"the object of {NUMBERS}/{TABLE} in DVC's cache"),
            flip_byte(self.flipped_span, f"the landed span {self.flipped_span.name}"),
        ]

    def finish(self, limit_s: float) -> Finding:
        """Take the table from the cache and read it, repair, make it again from the span, land that again, go on."""
        begun = time.monotonic()
        shutil.rmtree(self.project / "data" / NUMBERS)
        self.told["checkout"] = self._run("-m", "dvc", "checkout", "--quiet", f"data/{NUMBERS}")
        self.told["read"] = self._run(*self._reader)
        self.read_total = self.total()
        self.repaired = dvc_cache.repair(self.project)
        self.told["make"] = self._run("-m", "koboshi.orchestration.dvc_stage", NUMBERS)
        self.audits["broken"] = self.landed.audit()
        self.repaired += self.landed.repair_spans()
        self.told["repro"] = self._run("-m", "dvc", "repro", "--quiet")
        self.audits["mended"] = self.landed.audit()
        took_s = time.monotonic() - begun
        return Finding("work_ended", took_s < limit_s, f"read, repaired and made again in {took_s:.1f} s")

    def digests(self) -> dict[str, str]:
        """What must come out the same: both datasets and every span."""
        spans = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.landed.files()}
        return {name: tree_digest(self.project / "data" / name) for name in (NUMBERS, TOTAL)} | spans

    def total(self) -> str:
        """What the reader has published."""
        path = self.project / "data" / TOTAL / RESULT
        return path.read_text() if path.is_file() else "nothing"

    def evidence(self, injections: Sequence[Injection]) -> Evidence:
        """The commands' own ends, and the numbers of the final table against those that were sent."""
        injected_s, found = injections[0].at_s, table_numbers(self.project / "data" / NUMBERS / TABLE)
        measures = {
            "detected_after_s": self.told["read"].at_s - injected_s,
            "recovered_after_s": self.told["repro"].at_s - injected_s,
            "lost": float(len(set(range(RECORDS)).difference(found))),
            "doubled": float(len(found) - len(set(found))),
            "redone": float(len(self.repaired)),
        }
        return Evidence(
            measures, [Event(told.at_s, KINDS[name], f"{name}: {told}") for name, told in self.told.items()]
        )

    def close(self, *, keep_files: bool) -> None:
        """Delete the topic, and the folder unless it is to be looked at."""
        self._own.close(keep_files=keep_files)

    def _run(self, *words: str) -> Told:
        """A command in the drill's project, as a person would give it there."""
        exit_file = self.folder / "exit"
        exit_file.unlink(missing_ok=True)
        workspace = Workspace(self.folder.name, self.project)
        own = {EXIT_FILE_VARIABLE: str(exit_file), "KOBOSHI_LEDGER_URL": self.landed.ledger_url}
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.project,
            env={**workspace.environment(self.state_dir), **own},
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        *_, said = ["", *(done.stdout + done.stderr).strip().split("\n")]
        return Told(time.time(), done.returncode, said.strip())

    def _write_project(self) -> None:
        """A project with two stages, a cache of its own, and no Git."""
        python = f'"{sys.executable}"'
        stages = {
            NUMBERS: {"cmd": " ".join([python, *MAKER]), "deps": ["cut.json"], "outs": [f"data/{NUMBERS}"]},
            TOTAL: {
                "cmd": " ".join([python, *self._reader]),
                "deps": [f"data/{NUMBERS}"],
                "outs": [f"data/{TOTAL}"],
            },
        }
        dvc = f"[core]\nno_scm = true\nanalytics = false\nsite_cache_dir = {self.folder / 'site'}\n"
        files = {
            "koboshi.toml": "",
            "dvc.yaml": json.dumps({"stages": stages}),
            ".dvc/config": f"{dvc}[cache]\ndir = {self.folder / 'cache'}\n",
        }
        for name, text in files.items():
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            (self.project / name).write_text(text)


REFUSED = Permanent.exit_code


def rotten_object_is_refused(environment: DatasetEnvironment, injections: Sequence[Injection]) -> Finding:
    """DVC hands the changed bytes out and says nothing; whoever reads them refuses, and the repair finds the object."""
    read = environment.told["read"]
    if read.code == 0:
        said = f"the flipped byte reached the reader: total {environment.read_total}, not {RIGHT_TOTAL}"
        return Finding("rotten_object_is_refused", False, said)
    found = environment.flipped_object in environment.repaired
    untouched = environment.read_total == RIGHT_TOTAL
    holds = read.code == REFUSED and found and untouched and injections[0].took
    said = f"dvc checkout ended with {environment.told['checkout'].code}, the reader with {read.code}"
    said += "" if untouched else f", and it published {environment.read_total}"
    return Finding(
        "rotten_object_is_refused", holds, f"{said}; the repair {'found' if found else 'did not find'} the object"
    )


def rotten_span_is_refused(environment: DatasetEnvironment, injections: Sequence[Injection]) -> Finding:
    """The stage that reads the span refuses it, the audit calls that partition broken, the repair finds the span."""
    made, span = environment.told["make"], environment.flipped_span
    broken = [verdict.partition for verdict in environment.audits["broken"] if verdict.outcome == "broken"]
    found = span in environment.repaired
    holds = made.code == REFUSED and broken == [int(span.parent.name)] and found and injections[-1].took
    said = f"the stage ended with {made.code}; broken partitions: {', '.join(map(str, broken)) or 'none'}"
    said += f"; the repair {'found' if found else 'did not find'} the span"
    return Finding("rotten_span_is_refused", holds, said)


def all_is_as_before(environment: DatasetEnvironment, _injections: Sequence[Injection]) -> Finding:
    """Repaired: spans and datasets have their bytes again, the total is right, the audit calls the spans equal."""
    after = environment.digests()
    wrong = sorted(
        name for name in environment.before.keys() | after.keys() if environment.before.get(name) != after.get(name)
    )
    if environment.total() != RIGHT_TOTAL:
        wrong.append(f"the total {environment.total()}")
    wrong += [f"the audit ({one.outcome})" for one in environment.audits["mended"] if one.outcome != "equal"]
    said = f"not as before: {', '.join(wrong)}" if wrong else f"{RECORDS:,} records, {len(after)} digests as before"
    return Finding("all_is_as_before", not wrong, said)


DRILL: Drill[DatasetEnvironment] = Drill(
    name="dataset-flipped",
    claim="A byte that flips in DVC's cache or in a landed span is noticed before anything is made of it, named, and "
    "made good by `dvc repro` and by landing again.",
    fault="a flipped byte in DVC's cache, and one in a landed span",
    layer="datasets",
    environment=DatasetEnvironment,
    steady=(kafka_works,),
    inject=DatasetEnvironment.flip_two_bytes,
    within_s=180,
    verdict=(rotten_object_is_refused, rotten_span_is_refused, all_is_as_before),
    faults=2,
)
