"""What Ray itself says of a run, by its state interface: it shares nothing with the trainer's bookkeeping."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import requests

from koboshi.errors import Unavailable

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


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """A step as Ray ran it."""

    name: str
    state: str
    actor: str
    created_ms: float
    ended_ms: float


@dataclasses.dataclass(frozen=True, slots=True)
class RayWitness:
    """Asks one cluster about actors of a class, tasks and nodes."""

    url: str
    token_path: Path | None
    worker_class: str = "UnitWorker"

    def nodes(self) -> int:
        """How many living nodes have CPUs."""
        return sum(node["state"] == "ALIVE" and "CPU" in node["resources_total"] for node in self._list("nodes"))

    def actors(self, prefix: str = "") -> list[Actor]:
        """The workers whose names begin with a prefix, dead ones included."""
        rows = self._list("actors", class_name=self.worker_class)
        return [_actor(row) for row in rows if (row["name"] or "").startswith(prefix)]

    def tasks(self, actors: list[Actor]) -> list[Task]:
        """The tasks that Ray ran, or tried to run, on some actors."""
        ids, jobs = {actor.id for actor in actors}, {actor.job for actor in actors}
        rows = [row for job in sorted(jobs) for row in self._list("tasks", job_id=job)]
        return [_task(row) for row in rows if row["actor_id"] in ids]

    def _list(self, what: str, **equals: str) -> list[dict[str, Any]]:
        query: list[tuple[str, str]] = [("detail", "1"), ("limit", str(LIMIT))]
        for key, value in equals.items():
            query += [("filter_keys", key), ("filter_predicates", "="), ("filter_values", value)]
        try:
            answer = requests.get(f"{self.url}/api/v0/{what}", params=query, headers=self._headers(), timeout=TIMEOUT_S)
            answer.raise_for_status()
            found: list[dict[str, Any]] = answer.json()["data"]["result"]["result"]
        except (requests.RequestException, KeyError, TypeError) as error:
            reason = type(error).__name__
            raise Unavailable(
                f"Ray at {self.url} does not tell its {what} ({reason}): see `koboshi status`."
            ) from error
        return found

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token_path.read_text().strip()}"} if self.token_path else {}


def counts(tasks: list[Task]) -> Counter[tuple[str, str]]:
    """How often each task ended in each state."""
    return Counter((task.name, task.state) for task in tasks)


def _actor(row: dict[str, Any]) -> Actor:
    cause = (row.get("death_cause") or {}).get("actor_died_error_context") or {}
    death = cause.get("reason") or cause.get("error_message") or ""
    return Actor(row["actor_id"], row["job_id"], row["name"], row["pid"], row["state"], str(death))


def _task(row: dict[str, Any]) -> Task:
    return Task(row["name"], row["state"], row["actor_id"], row["creation_time_ms"] or 0.0, row["end_time_ms"] or 0.0)
