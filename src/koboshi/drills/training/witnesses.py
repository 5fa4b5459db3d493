"""Who tells of a run besides the trainer: Ray's state interface, and the files of the steps as they come and go."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from koboshi.drills.drill import Series
from koboshi.drills.kit.own_run import Watch
from koboshi.errors import Unavailable
from koboshi.proxies import client

TIMEOUT_S = 20.0
LIMIT = 5000
ENDED_BY_POOL = "RAY_KILL"


@dataclasses.dataclass(frozen=True, slots=True)
class Actor:
    """A worker as Ray knows it; `death` is why it is dead, in Ray's words."""

    id: str
    job: str
    name: str
    pid: int
    state: str
    death: str
    node: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """A step as Ray ran it."""

    name: str
    state: str
    actor: str
    created_ms: float
    ended_ms: float


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster, by the id that it got when it joined, and its own name."""

    id: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """A submitted job; `started_ms` and `ended_ms` are 0 as long as it has not."""

    name: str
    status: str
    started_ms: float
    ended_ms: float


@dataclasses.dataclass(frozen=True, slots=True)
class RayWitness:
    """Asks one cluster about actors of a class, tasks and nodes."""

    url: str
    token_path: Path | None
    worker_class: str = "UnitWorker"

    def nodes(self) -> int:
        """How many living nodes have CPUs."""
        return len(self.members())

    def members(self) -> list[Node]:
        """The living nodes that have CPUs."""
        alive = [row for row in self._list("nodes") if row["state"] == "ALIVE" and "CPU" in row["resources_total"]]
        return [Node(row["node_id"], row["node_name"]) for row in alive]

    def jobs(self, folder: Path) -> list[Job]:
        """The jobs whose command line names something in a folder, under whatever names they were submitted."""
        found = [
            row for row in self._get("/api/jobs/") if row.get("submission_id") and f"{folder}/" in row["entrypoint"]
        ]
        return [
            Job(row["submission_id"], row["status"], row.get("start_time") or 0.0, row.get("end_time") or 0.0)
            for row in found
        ]

    def actors(self, prefix: str = "") -> list[Actor]:
        """The workers whose names begin with a prefix, dead ones included."""
        rows = self._list("actors", class_name=self.worker_class)
        return [_actor(row) for row in rows if (row["name"] or "").startswith(prefix)]

    def tasks(self, actors: list[Actor]) -> list[Task]:
        """The tasks that Ray ran, or tried to run, on some actors."""
        ids, jobs = {actor.id for actor in actors}, {actor.job for actor in actors}
        rows = [row for job in sorted(jobs) for row in self._list("tasks", job_id=job)]
        return [
            Task(row["name"], row["state"], row["actor_id"], row["creation_time_ms"] or 0.0, row["end_time_ms"] or 0.0)
            for row in rows
            if row["actor_id"] in ids
        ]

    def _list(self, what: str, **equals: str) -> list[dict[str, Any]]:
        query: list[tuple[str, str]] = [("detail", "1"), ("limit", str(LIMIT))]
        for key, value in equals.items():
            query += [("filter_keys", key), ("filter_predicates", "="), ("filter_values", value)]
        try:
            found: list[dict[str, Any]] = self._get(f"/api/v0/{what}", query)["data"]["result"]["result"]
            return list(found)
        except (KeyError, TypeError) as error:
            raise self._unavailable(what, error) from error

    def _get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        try:
            with client(self.url, timeout=TIMEOUT_S, headers=self._headers(), follow_redirects=True) as ray:
                answer = ray.get(f"{self.url}{path}", params=list(query))
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._unavailable(path.strip("/").rpartition("/")[2], error) from error

    def _unavailable(self, what: str, error: Exception) -> Unavailable:
        reason = type(error).__name__
        return Unavailable(f"Ray at {self.url} does not tell its {what} ({reason}): see `koboshi status`.")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token_path.read_text().strip()}"} if self.token_path else {}


def _actor(row: dict[str, Any]) -> Actor:
    cause = (row.get("death_cause") or {}).get("actor_died_error_context") or {}
    death = cause.get("reason") or cause.get("error_message") or ""
    node = row.get("node_id") or ""
    return Actor(row["actor_id"], row["job_id"], row["name"], row["pid"], row["state"], str(death), node)


LOOK_S = 0.03  # a file stays until three more steps of its unit are done


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class StepFile:
    """One writing of one step's file: the same step written again has another inode or another time."""

    at_s: float
    unit: str
    step: int
    inode: int


class StepFiles(Watch):
    """Looks into the folders of a run's units, again and again, on a thread of its own.

    Files appear under their final names only when they are whole, so each sighting is a step that was done, at the
    time that the file system says. Whether it was also committed is not asked of anybody: a step counts as committed
    once the next one of its unit is there, since no step is begun before the one before it is committed.
    """

    def __init__(self, folder: Path) -> None:
        """The folder of the run's checkpoints, which need not be there yet."""
        super().__init__(self._look, LOOK_S)
        self._folder = folder
        self._seen: set[StepFile] = set()

    def written(self) -> list[StepFile]:
        """All writings that were seen so far, oldest first."""
        return sorted(self._seen.copy())

    def reached(self, before_s: float) -> Mapping[str, int]:
        """The highest step of each unit that was on disk at a time (seconds since 1970)."""
        highest: defaultdict[str, int] = defaultdict(int)
        for file in self.written():
            if file.at_s <= before_s:
                highest[file.unit] = max(highest[file.unit], file.step)
        return highest

    def series(self) -> Series:
        """How many different steps were on disk so far, over time."""
        firsts: dict[tuple[str, int], float] = {}
        for file in self.written():
            firsts.setdefault((file.unit, file.step), file.at_s)
        return Series(
            "steps done", "steps", [(at_s, float(count)) for count, at_s in enumerate(sorted(firsts.values()), 1)]
        )

    def _look(self) -> None:
        for path in self._folder.glob("*/[0-9]*-*.ckpt"):
            try:
                found = path.stat()
            except OSError:  # it was just dropped
                continue
            self._seen.add(StepFile(found.st_mtime, path.parent.name, int(path.name.partition("-")[0]), found.st_ino))


def written_more_than_once(files: list[StepFile]) -> Mapping[tuple[str, int], list[StepFile]]:
    """The writings of each step that was written again."""
    by_step: defaultdict[tuple[str, int], list[StepFile]] = defaultdict(list)
    for file in sorted(files):
        by_step[file.unit, file.step].append(file)
    return {step: writings for step, writings in by_step.items() if len(writings) > 1}
