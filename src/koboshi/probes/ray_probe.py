"""Ray's health: a task is run on each node. `python -m koboshi.probes.ray_probe ADDRESS NODES LIMIT` is the driver.

The driver is a process of its own: Ray reads its settings when it is imported, and a probe must not hang with it.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from koboshi.errors import Unavailable
from koboshi.probes import Health
from koboshi.probes.http_json import call, reading

LOOPBACK = ("127.", "localhost")


def probe_ray(address: str, token_path: Path | None, nodes: int, limit_s: float = 45.0, *, only: str = "") -> Health:
    """Run a task on every living node, or on the one that is called `only`; at least `nodes` of them must answer."""
    command = [sys.executable, "-m", "koboshi.probes.ray_probe", address, str(nodes), str(limit_s), only]
    environment = {**os.environ, **client_environment(address, token_path)}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=limit_s + 15, check=False
        )
        return Health(**json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return Health(False, f"no answer within {limit_s:.0f} s")
    except (ValueError, IndexError):
        lines = done.stderr.strip().splitlines() or ["no word"]
        return Health(False, f"the driver ended with {done.returncode}: {lines[-1]}"[:200])


def probe_ray_head(jobs_url: str, token_path: Path | None, limit_s: float = 15.0) -> Health:
    """Ask the head alone for the jobs that it knows, which it keeps in the cluster's store."""
    try:
        headers = _headers(token_path)
        with reading(jobs_url):
            return Health(True, f"knows of {len(call(f'{jobs_url}/api/jobs/', headers=headers, limit_s=limit_s))} jobs")
    except (Unavailable, OSError) as error:
        return Health(False, str(error)[:200])


def look_at_ray(jobs_url: str, token_path: Path | None, nodes: int, limit_s: float = 15.0) -> Health:
    """Ask the head which nodes with a CPU live, which it checks every second; at least `nodes` of them must.

    No driver is started, and no task is run.
    """
    try:
        headers = _headers(token_path)
        with reading(jobs_url):
            listed = call(f"{jobs_url}/api/v0/nodes?detail=1&limit=1000", headers=headers, limit_s=limit_s)
            rows = listed["data"]["result"]["result"]
            alive = [row for row in rows if row["state"] == "ALIVE" and "CPU" in row["resources_total"]]
    except (Unavailable, OSError) as error:
        return Health(False, str(error)[:200])
    if len(alive) < nodes:
        return Health(False, f"{len(alive)} of {nodes} nodes have joined")
    return Health(True, f"the head sees {len(alive)} living nodes")


def client_environment(address: str, token_path: Path | None) -> dict[str, str]:
    """What a driver needs: the token, and on one machine, that 127.0.0.1 is left as it is."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_path)} if token_path else {}
    local = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"} if address.startswith(LOOPBACK) else {}
    return {**token, **local, "RAY_USAGE_STATS_ENABLED": "0"}


def _headers(token_path: Path | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_path.read_text().strip()}"} if token_path else {}


def _drive(address: str, nodes: int, limit_s: float, only: str) -> Health:
    import ray

    ray.init(address=address, log_to_driver=False, logging_level="ERROR", namespace="koboshi-probe")
    begun = time.monotonic()
    alive = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    names = {node["NodeID"]: node["NodeName"] for node in alive if not only or node["NodeName"] == only}
    if len(names) < nodes:
        return Health(False, f"{len(names)} of {nodes} nodes have joined")
    answers = {_ask(node): name for node, name in names.items()}
    done, waiting = ray.wait(list(answers), num_returns=len(answers), timeout=limit_s)
    if waiting:
        return Health(False, f"no task was run on {', '.join(sorted(answers[ref] for ref in waiting))}")
    return Health(True, f"a task run on each of {len(done)} nodes in {time.monotonic() - begun:.1f} s")


def _process_id() -> int:
    return os.getpid()


def _ask(node: str) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(_process_id)
    return task.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote()


if __name__ == "__main__":
    health = _drive(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
    sys.stdout.write(json.dumps({"ok": health.ok, "detail": health.detail}) + "\n")
