"""docker-compose.yml: the table of parts as services, in a form that docker-compose 1.29 and Compose v2 both take.

A part's first step is a service of its own that ends; what a part waits for is what it depends on; state is in volumes;
only what a person opens is published, on 127.0.0.1.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from koboshi import environment as names
from koboshi import proxies
from koboshi.stack import compose_site as of_compose
from koboshi.stack.airflow_parts import API
from koboshi.stack.gateway_part import LISTEN
from koboshi.stack.mlflow_part import SERVER
from koboshi.stack.part import Part
from koboshi.stack.parts_table import GROUPS, endpoints, parts_of
from koboshi.stack.ports import LOOPBACK
from koboshi.stack.ray_parts import DASHBOARD, HEAD
from koboshi.stack.site import Site

IMAGE = f"${{{names.IMAGE}:-koboshi:latest}}"
BASE = f"${{{names.BASE}:-python:3.12-slim-bookworm}}"
SHARED, PREPARE = "x-shared", "prepare"
ENDED_WELL, HEALTHY = "service_completed_successfully", "service_healthy"
PUBLISHED = {"airflow-api-server": API, HEAD: DASHBOARD, "mlflow": SERVER, "gateway": LISTEN}
SAME_FOR_GROUP = ("ray", "airflow", "replicas")
OWN_STATE = ("postgres", "kafka", "mlflow")  # groups with a volume of their own, named like them
WITHOUT_PROJECT = ("postgres", "mlflow")
SHARED_MEMORY = {"ray": "512m"}  # where Ray keeps its objects
# PostgreSQL waits for its clients to go when it is sent SIGTERM.
STOP_SIGNALS = {"postgres": "SIGINT"}
LOGGING = {"options": {"max-size": "10m", "max-file": "3"}}
EVERYWHERE: Mapping[str, Any] = {
    "image": IMAGE,
    "init": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}


def compose(site: Site) -> dict[str, Any]:
    """The file's content. What is in `x-shared` is the same object wherever it is used, and is written once."""
    parts = parts_of(site, GROUPS)
    unproxied = _unproxied(parts)
    shared: dict[str, Any] = {"logging": LOGGING}
    services = {PREPARE: _prepare()}
    for part in parts.values():
        environment = _environment(site, part, unproxied, shared)
        needs = _needs(part, parts)
        if part.steps:
            services[init_name(part)] = _first_step(part, environment, needs)
            needs = {**needs, init_name(part): {"condition": ENDED_WELL}}
        services[part.name] = _service(site, part, environment, needs)
    return {SHARED: shared, "services": services, "volumes": dict.fromkeys(("project", *OWN_STATE))}


def init_name(part: Part) -> str:
    """The service that does a part's first step, for its whole group."""
    return f"{part.group}-init"


def _unproxied(parts: Iterable[str]) -> dict[str, str]:
    """The parts ask each other directly where Docker gives its containers a proxy; the user's own entries stay."""
    users = {name: f"${{{name}:-}}" for name in proxies.NAMES}
    return proxies.direct(users, [*proxies.LOOPBACK, *parts])


def _environment(site: Site, part: Part, unproxied: Mapping[str, str], shared: dict[str, Any]) -> Any:
    """The part's own variables; where verbs and tasks run, all addresses. One object for a group of several parts."""
    addresses = _addresses(site) if part.group in ("airflow", "replicas") else {}
    browser = {"AIRFLOW__API__BASE_URL": f"http://{LOOPBACK}:{published_port(site, 'airflow-api-server')}"}
    environment = {**part.environment, **addresses, **(browser if part.group == "airflow" else {}), **unproxied}
    return shared.setdefault(part.group, environment) if part.group in SAME_FOR_GROUP else environment


def _prepare() -> dict[str, Any]:
    build = {"context": ".", "dockerfile": "deploy/Dockerfile", "args": {"BASE": BASE}}
    given = (names.AIRFLOW_PASSWORD, names.RAY_TOKEN)
    return {
        "build": build,
        **EVERYWHERE,
        "command": ["python", "-m", "koboshi.stack.compose_prepare"],
        "environment": {name: of_compose.variable(name) for name in given},
        "volumes": [f"project:{of_compose.PROJECT}"],
        "logging": LOGGING,
    }


def _first_step(part: Part, environment: Mapping[str, str], needs: Mapping[str, Any]) -> dict[str, Any]:
    (step,) = part.steps
    return {
        **EVERYWHERE,
        "command": list(step.argv),
        "working_dir": str(part.folder),
        "environment": environment,
        "volumes": _volumes(part),
        "depends_on": dict(needs),
        "logging": LOGGING,
    }


def _service(site: Site, part: Part, environment: Mapping[str, str], needs: Mapping[str, Any]) -> dict[str, Any]:
    special = {
        "shm_size": SHARED_MEMORY.get(part.group),
        "stop_signal": STOP_SIGNALS.get(part.name),
        "ports": _published(site, part),
    }
    return {
        **EVERYWHERE,
        "command": list(part.argv),
        "working_dir": str(part.folder),
        "environment": environment,
        "volumes": _volumes(part),
        **{key: value for key, value in special.items() if value},
        "depends_on": dict(needs),
        "healthcheck": _health_check(part),
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
        "logging": LOGGING,
    }


def _health_check(part: Part) -> dict[str, Any]:
    """Asked often, so that a start is seen soon; koboshi.stack.container_health knows when it is time for more work."""
    return {
        "test": ["CMD", "python", "-m", "koboshi.stack.container_health", part.name],
        "interval": "10s",
        "timeout": "90s",
        "retries": 3,
        "start_period": "300s",
    }


def _needs(part: Part, parts: Mapping[str, Part]) -> dict[str, Any]:
    """What the part waits for: the owners of ports must be healthy, what leaves a mark must have ended well."""
    owners = {port: other.name for other in parts.values() for port in other.ports}
    marks = {step.done: init_name(other) for other in parts.values() for step in other.steps}
    return {
        PREPARE: {"condition": ENDED_WELL},
        **{owners[port]: {"condition": HEALTHY} for port in part.after_ports},
        **{marks[path]: {"condition": ENDED_WELL} for path in part.after_files},
    }


def _volumes(part: Part) -> list[str]:
    project = [] if part.group in WITHOUT_PROJECT else [f"project:{of_compose.PROJECT}"]
    own = [f"{part.group}:{_state(part.group)}"] if part.group in OWN_STATE else []
    return project + own


def _state(group: str) -> Path:
    return of_compose.PROJECT / ".koboshi" / group


def published_port(site: Site, name: str) -> str:
    """Where a part is found on this machine: its own port, unless a variable such as KOBOSHI_GATEWAY_PORT says else."""
    group = "ray" if name == HEAD else name.partition("-")[0]
    return f"${{{names.port_variable(group)}:-{site.ports.at(PUBLISHED[name])}}}"


def _published(site: Site, part: Part) -> list[str]:
    if part.name not in PUBLISHED:
        return []
    return [f"{LOOPBACK}:{published_port(site, part.name)}:{site.ports.at(PUBLISHED[part.name])}"]


def _addresses(site: Site) -> dict[str, str]:
    """Where everything is, as settings."""
    return {
        names.variable_of(f"{section}.{key}"): str(value)
        for section, values in endpoints(site, GROUPS).items()
        for key, value in values.items()
    }
