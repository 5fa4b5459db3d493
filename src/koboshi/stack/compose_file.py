"""docker-compose.yml: the table of parts as services, in a form that docker-compose 1.29 and Compose v2 both take.

A part's first step is a service of its own that ends; what a part waits for is what it depends on; state is in volumes;
only what a person opens is published, on 127.0.0.1.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from koboshi import environment as names
from koboshi import proxies
from koboshi.stack import topology as of_compose
from koboshi.stack.part import Part
from koboshi.stack.parts import Container, endpoints, parts_of, port_variable, secrets, technologies, usual_groups
from koboshi.stack.topology import LOOPBACK, Topology

FILE = "docker-compose.yml"
HEADER = """\
# The stack in containers, from one image (deploy/Dockerfile). docs/containers.md tells how to use it.
# Written by `koboshi compose render`, from the table of parts that `koboshi up` starts: change it in src/koboshi/stack.
"""
LONGEST_LINE = 1000  # so that no value is folded
IMAGE = f"${{{names.IMAGE}:-koboshi:latest}}"
BASE = f"${{{names.BASE}:-python:3.12-slim-bookworm}}"
SHARED, PREPARE = "x-shared", "prepare"
ENDED_WELL, HEALTHY = "service_completed_successfully", "service_healthy"
LOGGING = {"options": {"max-size": "10m", "max-file": "3"}}
EVERYWHERE: Mapping[str, Any] = {
    "image": IMAGE,
    "init": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}


def render(topology: Topology, groups: Iterable[str] = ()) -> str:
    """The whole text for some groups, or the usual ones, as a person would write it. Pure.

    Short lists are in one line, what is shared is written once and named.
    """
    content = compose(topology, tuple(groups) or usual_groups())
    shared = content[SHARED]

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return not any(data is value for value in shared.values())

    Dumper.add_representer(list, _in_one_line)
    text = yaml.dump(content, Dumper=Dumper, sort_keys=False, width=LONGEST_LINE)
    for number, name in enumerate(shared, start=1):
        text = text.replace(f"&id{number:03d}", f"&{name}").replace(f"*id{number:03d}", f"*{name}")
    return f"{HEADER}{text}"


def _in_one_line(dumper: yaml.SafeDumper, data: Sequence[Any]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


def compose(topology: Topology, groups: Sequence[str]) -> dict[str, Any]:
    """The file's content. What is in `x-shared` is the same object wherever it is used, and is written once."""
    parts = parts_of(topology, groups)
    addresses = {
        names.variable_of(f"{section}.{key}"): str(value)
        for section, values in endpoints(topology, groups).items()
        for key, value in values.items()
    }
    # The parts ask each other directly where Docker gives its containers a proxy; the user's own entries stay.
    unproxied = proxies.direct({name: f"${{{name}:-}}" for name in proxies.NAMES}, [*proxies.LOOPBACK, *parts])
    shared: dict[str, Any] = {"logging": LOGGING}
    services = {PREPARE: _prepare()}
    for part in parts.values():
        environment = _environment(topology, part, addresses, unproxied, shared)
        needs = _needs(part, parts)
        if part.steps:
            services[init_name(part)] = _first_step(part, environment, needs)
            needs = {**needs, init_name(part): {"condition": ENDED_WELL}}
        services[part.name] = _service(topology, part, environment, needs)
    volumes = [group for group in dict.fromkeys(part.group for part in parts.values()) if _form(group).volume]
    return {SHARED: shared, "services": services, "volumes": dict.fromkeys(("project", *volumes))}


def _form(group: str) -> Container:
    return technologies()[group].container


def init_name(part: Part) -> str:
    """The service that does a part's first step, for its whole group."""
    return f"{part.group}-init"


def _environment(
    topology: Topology, part: Part, addresses: Mapping[str, str], unproxied: Mapping[str, str], shared: dict[str, Any]
) -> Any:
    """The part's own variables; where verbs and tasks run, all addresses. One object for a group of several parts."""
    form = _form(part.group)
    found = addresses if form.addresses else {}
    of_browser = form.of_browser(published_port(topology, part.group)) if form.published else {}
    environment = {**part.environment, **found, **of_browser, **unproxied}
    return shared.setdefault(part.group, environment) if form.one_block else environment


def _prepare() -> dict[str, Any]:
    return {
        "build": {"context": ".", "dockerfile": "deploy/Dockerfile", "args": {"BASE": BASE}},
        **EVERYWHERE,
        "command": ["python", "-m", "koboshi.stack.compose_prepare"],
        "environment": {one.variable: of_compose.variable(one.variable) for one in secrets() if one.file},
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


def _service(
    topology: Topology, part: Part, environment: Mapping[str, str], needs: Mapping[str, Any]
) -> dict[str, Any]:
    form = _form(part.group)
    special = {"shm_size": form.shared_memory, "stop_signal": form.stop_signal, "ports": _published(topology, part)}
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
    form = _form(part.group)
    project = [f"project:{of_compose.PROJECT}"] if form.project else []
    own = [f"{part.group}:{of_compose.PROJECT / '.koboshi' / part.group}"] if form.volume else []
    return project + own


def published_port(topology: Topology, group: str) -> str:
    """Where a group's published part is found on this machine: its own port, unless KOBOSHI_<GROUP>_PORT says else."""
    _, offset = _form(group).published or ("", 0)
    return f"${{{port_variable(group)}:-{topology.ports.at(offset)}}}"


def _published(topology: Topology, part: Part) -> list[str]:
    name, offset = _form(part.group).published or ("", 0)
    return (
        [f"{LOOPBACK}:{published_port(topology, part.group)}:{topology.ports.at(offset)}"] if part.name == name else []
    )
