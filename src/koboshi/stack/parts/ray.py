"""Ray: a head without CPUs (jobs API, dashboard) and two nodes, each a process of its own."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from koboshi.errors import Unavailable
from koboshi.probes import Health
from koboshi.probes.http_json import call
from koboshi.probes.ray_probe import look_at_ray, probe_ray, probe_ray_head
from koboshi.settings import Settings
from koboshi.stack.part import Part
from koboshi.stack.parts import FRESH_S, Container, Secret, Technology
from koboshi.stack.topology import LOOPBACK, Ports, Topology, text_of

GCS, DASHBOARD, AUTOSCALER_METRICS, DASHBOARD_METRICS = 10, 11, 12, 13
NODE_OFFSETS = {"ray-head": 14, "ray-node-1": 20, "ray-node-2": 26}
NODE_PORTS = (
    "object-manager-port",
    "node-manager-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
    "metrics-export-port",
)
WORKER_OFFSETS = {"ray-head": (32, 47), "ray-node-1": (48, 68), "ray-node-2": (69, 89)}
HEAD, NODES = "ray-head", ("ray-node-1", "ray-node-2")
NODE_CPUS = 2
START = ("-m", "koboshi.stack.ray_start", "start", "--block", "--disable-usage-stats")
OBJECT_STORE_BYTES = 150 * 1024**2
# A dead node is noticed after about 4 s. Shorter, and a node that waits for a busy core is taken for dead.
HEALTH_CHECK = {"initial_delay_ms": 5000, "period_ms": 1000, "timeout_ms": 3000, "failure_threshold": 3}
# How often a node asks whether its head still knows it. By Ray's default, a minute, the nodes of a head that was killed
# and is back stay lost for up to a minute more.
SELF_CHECK_MS = 3000
FRESH_NODE_S = 240.0  # a driver of its own and a task cost seconds of CPU; the head watches its nodes by the second
ACTOR_PREFIX = "koboshi-"
STEP_MARK = "/step-"  # an actor in the middle of a step has `<unit>/step-<k>` for its title
ACTORS_LIMIT_S = 20.0
TOKEN = Secret("token", "KOBOSHI_RAY_TOKEN", lambda: secrets.token_hex(32), file="ray-token")


def gcs_address(ports: Ports) -> str:
    """What a driver is given."""
    return ports.address(HEAD, GCS)


def jobs_url(ports: Ports) -> str:
    """The dashboard, and the jobs API for submissions."""
    return f"http://{ports.address(HEAD, DASHBOARD)}"


def ray_client_environment(topology: Topology) -> dict[str, str]:
    """What a process needs that talks to this Ray: the token, and on one machine to take 127.0.0.1 as it stands."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(topology.paths.own / TOKEN.file),
        # Whatever its name: Ray then leaves 127.0.0.1 alone.
        **({} if topology.ports.by_name else {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def ray_parts(topology: Topology) -> tuple[Part, ...]:
    """The head, then the nodes; on one machine one after another, where two that register at once can hang."""
    first, second = NODES
    ports = topology.ports
    head = (ports.at(GCS), ports.at(DASHBOARD))
    return (
        _ray_part(topology, HEAD, _head_flags(topology), ()),
        _ray_part(topology, first, _node_flags(ports), head),
        _ray_part(
            topology, second, _node_flags(ports), head if ports.by_name else (ports.at(GCS), node_port(ports, first))
        ),
    )


def node_port(ports: Ports, name: str) -> int:
    """The port that a node answers on when it has registered."""
    return ports.at(NODE_OFFSETS[name] + NODE_PORTS.index("dashboard-agent-listen-port"))


def _head_flags(topology: Topology) -> dict[str, str]:
    return {
        "head": "",
        "port": str(topology.ports.at(GCS)),
        "dashboard-host": topology.ports.listen,
        "dashboard-port": str(topology.ports.at(DASHBOARD)),
        "temp-dir": str(topology.paths.runtime / "ray"),
        "num-cpus": "0",
        "include-log-monitor": "false",
    }


def _node_flags(ports: Ports) -> dict[str, str]:
    return {"address": gcs_address(ports), "num-cpus": str(NODE_CPUS)}


def _ray_part(topology: Topology, name: str, own: Mapping[str, str], gates: tuple[int, ...]) -> Part:
    paths, ports = topology.paths, topology.ports
    numbered = {flag: ports.at(NODE_OFFSETS[name] + i) for i, flag in enumerate(NODE_PORTS)}
    lowest, highest = WORKER_OFFSETS[name]
    flags = {
        **own,
        **{flag: str(port) for flag, port in numbered.items()},
        **({} if ports.by_name else {"node-ip-address": LOOPBACK}),
        "node-name": name,
        "min-worker-port": str(ports.at(lowest)),
        "max-worker-port": str(ports.at(highest)),
        "object-store-memory": str(OBJECT_STORE_BYTES),
    }
    words = [word for flag, value in flags.items() for word in (f"--{flag}", value) if word]
    return Part(
        name=name,
        group="ray",
        argv=(topology.executables.python, *START, *words),
        environment=_environment(topology),
        folder=paths.project,
        log=paths.logs / f"{name}.log",
        ports=(*numbered.values(), *((ports.at(GCS), ports.at(DASHBOARD)) if name == HEAD else ())),
        after_ports=gates,
        address=jobs_url(ports) if name == HEAD else ports.address(name, NODE_OFFSETS[name] + 1),
    )


def _environment(topology: Topology) -> dict[str, str]:
    ports = topology.ports
    return {
        **ray_client_environment(topology),
        **{f"RAY_health_check_{name}": str(value) for name, value in HEALTH_CHECK.items()},
        "RAY_raylet_liveness_self_check_interval_ms": str(SELF_CHECK_MS),
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "AUTOSCALER_METRIC_PORT": str(ports.at(AUTOSCALER_METRICS)),
        "DASHBOARD_METRIC_PORT": str(ports.at(DASHBOARD_METRICS)),
        "PYTHONPATH": str(topology.paths.project),
    }


def link_ray_folder(topology: Topology) -> None:
    """Ray's sessions and logs stay in the state folder; its sockets are reached by the short path of a link."""
    if topology.ports.by_name:
        return
    paths = topology.paths
    sessions = paths.state_dir / "ray"
    sessions.mkdir(parents=True, exist_ok=True)
    link = paths.runtime / "ray"
    if not link.is_symlink():
        link.symlink_to(sessions, target_is_directory=True)


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
    import psutil

    try:
        return " ".join(psutil.Process(pid).cmdline()).strip()
    except psutil.Error:
        return ""


def _actors(jobs_url: str, token_path: Path | None) -> list[dict[str, Any]]:
    query = "detail=1&limit=1000&filter_keys=state&filter_predicates=%3D&filter_values=ALIVE"
    headers = {"Authorization": f"Bearer {token_path.read_text().strip()}"} if token_path else {}
    try:
        answer = call(f"{jobs_url}/api/v0/actors?{query}", headers=headers, limit_s=ACTORS_LIMIT_S)
        return list(answer["data"]["result"]["result"])
    except (Unavailable, KeyError, TypeError) as error:
        raise Unavailable(f"Ray at {jobs_url} does not list its actors ({error}): see `koboshi status`.") from error


def _killed_by_name(settings: Settings) -> tuple[int, str]:
    if settings.ray.jobs_url is None:
        raise Unavailable("Ray does not run: start it with `koboshi up ray`.")
    return training_worker(settings.ray.jobs_url, settings.ray.token_path)


def _probe_of(settings: Settings, part: Part) -> Health:
    ray = settings.ray
    if part.name in NODES:
        return probe_ray(str(ray.address), ray.token_path, 1, only=part.name)
    return probe_ray_head(str(ray.jobs_url), ray.token_path)


def _look(settings: Settings, parts: tuple[Part, ...]) -> Health:
    """The head tells which nodes live: no driver, no job. Without the jobs' address a task is run all the same."""
    if settings.ray.jobs_url is None:
        return probe_ray(str(settings.ray.address), settings.ray.token_path, 1)
    return look_at_ray(settings.ray.jobs_url, settings.ray.token_path, len(NODES) if parts else 1)


def _login(settings: Settings) -> dict[str, str | None]:
    token = text_of(settings.ray.token_path)
    return {"what": "Ray", "url": settings.ray.jobs_url, **({"token": token} if token else {})}


TECHNOLOGY = Technology(
    group="ray",
    parts=lambda topology, _groups: ray_parts(topology),
    address=lambda settings: settings.ray.address or settings.ray.jobs_url,
    endpoints=lambda topology: {
        "address": gcs_address(topology.ports),
        "jobs_url": jobs_url(topology.ports),
        "token_path": str(topology.paths.own / TOKEN.file),
    },
    files=link_ray_folder,
    secrets=(TOKEN,),
    probe=lambda settings, parts: probe_ray(
        str(settings.ray.address), settings.ray.token_path, len(NODES) if parts else 1
    ),
    probe_of=_probe_of,
    look=_look,
    login=_login,
    inner={"ray-worker": _killed_by_name},
    nicknames={"ray-node": NODES[0]},
    foreign=("RAY_",),
    container=Container(
        published=(HEAD, DASHBOARD),
        one_block=True,
        shared_memory="512m",  # where Ray keeps its objects
        fresh_s=lambda part: FRESH_NODE_S if part in NODES else FRESH_S,
    ),
)
