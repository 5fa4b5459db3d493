"""Ray: a head without CPUs (jobs API, dashboard) and two nodes, each a process of its own, on 127.0.0.1."""

import sys
from collections.abc import Mapping

from koboshi.stack.part import Part
from koboshi.stack.places import Places
from koboshi.stack.ports import Ports
from koboshi.stack.secrets import Secrets

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
NODES = ("ray-node-1", "ray-node-2")
NODE_CPUS = 2
OBJECT_STORE_BYTES = 150 * 1024**2
# A dead node is noticed after about 4 s. Shorter, and a node that waits for a busy core is taken for dead.
HEALTH_CHECK = {"initial_delay_ms": 5000, "period_ms": 1000, "timeout_ms": 3000, "failure_threshold": 3}


def gcs_address(ports: Ports) -> str:
    """What a driver is given."""
    return f"127.0.0.1:{ports.at(GCS)}"


def jobs_url(ports: Ports) -> str:
    """The dashboard, and the jobs API for submissions."""
    return f"http://127.0.0.1:{ports.at(DASHBOARD)}"


def ray_client_environment(secrets: Secrets) -> dict[str, str]:
    """What a process needs that talks to this Ray: the token, and to take 127.0.0.1 as it stands."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(secrets.ray_token_path),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # whatever its name: Ray then leaves 127.0.0.1 alone
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def ray_parts(places: Places, ports: Ports, secrets: Secrets) -> tuple[Part, ...]:
    """The head, then the nodes one after another: two that register at once can hang."""
    first, second = NODES
    return (
        _ray_part(places, ports, secrets, "ray-head", _head_flags(places, ports), ()),
        _ray_part(places, ports, secrets, first, _node_flags(ports), (ports.at(GCS), ports.at(DASHBOARD))),
        _ray_part(places, ports, secrets, second, _node_flags(ports), (ports.at(GCS), node_port(ports, first))),
    )


def node_port(ports: Ports, name: str) -> int:
    """The port that a node answers on when it has registered."""
    return ports.at(NODE_OFFSETS[name] + NODE_PORTS.index("dashboard-agent-listen-port"))


def _head_flags(places: Places, ports: Ports) -> dict[str, str]:
    return {
        "head": "",
        "port": str(ports.at(GCS)),
        "dashboard-host": "127.0.0.1",
        "dashboard-port": str(ports.at(DASHBOARD)),
        "temp-dir": str(places.runtime / "ray"),
        "num-cpus": "0",
        "include-log-monitor": "false",
    }


def _node_flags(ports: Ports) -> dict[str, str]:
    return {"address": gcs_address(ports), "num-cpus": str(NODE_CPUS)}


def _ray_part(
    places: Places, ports: Ports, secrets: Secrets, name: str, own: Mapping[str, str], gates: tuple[int, ...]
) -> Part:
    numbered = {flag: ports.at(NODE_OFFSETS[name] + i) for i, flag in enumerate(NODE_PORTS)}
    lowest, highest = WORKER_OFFSETS[name]
    flags = {
        **own,
        **{flag: str(port) for flag, port in numbered.items()},
        "node-ip-address": "127.0.0.1",
        "node-name": name,
        "min-worker-port": str(ports.at(lowest)),
        "max-worker-port": str(ports.at(highest)),
        "object-store-memory": str(OBJECT_STORE_BYTES),
    }
    words = [word for flag, value in flags.items() for word in (f"--{flag}", value) if word]
    return Part(
        name=name,
        group="ray",
        argv=(sys.executable, "-m", "koboshi.stack.ray_start", "start", "--block", "--disable-usage-stats", *words),
        environment=_environment(places, ports, secrets),
        folder=places.project,
        log=places.logs / f"{name}.log",
        ports=tuple(numbered.values()),
        after_ports=gates,
        address=jobs_url(ports) if name == "ray-head" else f"127.0.0.1:{numbered['node-manager-port']}",
    )


def _environment(places: Places, ports: Ports, secrets: Secrets) -> dict[str, str]:
    return {
        **ray_client_environment(secrets),
        **{f"RAY_health_check_{name}": str(value) for name, value in HEALTH_CHECK.items()},
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "AUTOSCALER_METRIC_PORT": str(ports.at(AUTOSCALER_METRICS)),
        "DASHBOARD_METRIC_PORT": str(ports.at(DASHBOARD_METRICS)),
        "PYTHONPATH": str(places.project),
    }


def link_ray_folder(places: Places) -> None:
    """Ray's sessions and logs stay in the state folder; its sockets are reached by the short path of a link."""
    sessions = places.state_dir / "ray"
    sessions.mkdir(parents=True, exist_ok=True)
    link = places.runtime / "ray"
    if not link.is_symlink():
        link.symlink_to(sessions, target_is_directory=True)
