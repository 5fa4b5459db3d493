"""The actors that train, as Ray's own state interface names them."""

from pathlib import Path
from typing import Any

from koboshi.errors import Unavailable
from koboshi.probes.http_json import call

ACTOR_PREFIX = "koboshi-"
STEP_MARK = "/step-"  # an actor in the middle of a step has `<unit>/step-<k>` for its title
LIMIT_S = 20.0


def training_worker(jobs_url: str, token_path: Path | None) -> tuple[int, str]:
    """The process id and the doing of an actor that is in the middle of a step, or of one that waits for work.

    Raises `Unavailable` when nothing trains.
    """
    actors = [a for a in _actors(jobs_url, token_path) if str(a.get("name", "")).startswith(ACTOR_PREFIX)]
    doings = [(int(actor["pid"]), title(int(actor["pid"]))) for actor in actors if actor.get("pid")]
    alive = sorted((STEP_MARK not in doing, pid, doing) for pid, doing in doings if doing)
    if not alive:
        raise Unavailable("no actor is training now: trigger the DAG `train`, and try again while its task runs.")
    _, pid, doing = alive[0]
    return pid, doing


def title(pid: int) -> str:
    """What a process calls itself; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _actors(jobs_url: str, token_path: Path | None) -> list[dict[str, Any]]:
    query = "detail=1&limit=1000&filter_keys=state&filter_predicates=%3D&filter_values=ALIVE"
    headers = {"Authorization": f"Bearer {token_path.read_text().strip()}"} if token_path else {}
    try:
        answer = call(f"{jobs_url}/api/v0/actors?{query}", headers=headers, limit_s=LIMIT_S)
        return list(answer["data"]["result"]["result"])
    except (Unavailable, KeyError, TypeError) as error:
        raise Unavailable(f"Ray at {jobs_url} does not list its actors ({error}): see `koboshi status`.") from error
