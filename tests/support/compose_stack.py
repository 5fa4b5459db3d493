"""The stack in containers, under a project name and on ports of its own."""

import dataclasses
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from koboshi.stack.compose_prepare import variables
from koboshi.stack.parts.airflow import PASSWORD
from koboshi.stack.parts.ray import TOKEN
from tests.support.docker_daemon import Docker, call
from tests.support.running_stack import KOBOSHI, REPOSITORY

UP_LIMIT_S = 900.0
PORTS = ("AIRFLOW", "RAY", "MLFLOW", "GATEWAY")
ONE_SHOTS = {"prepare", "postgres-init", "kafka-init", "airflow-init"}


@dataclasses.dataclass(frozen=True)
class Container:
    """What the daemon says of a service's container."""

    name: str
    running: bool
    health: str
    exit_code: int
    restarts: int


@dataclasses.dataclass
class ComposeStack:
    """`docker-compose` in a folder with our file and a `.env`."""

    docker: Docker
    folder: Path
    image: str
    project: str
    ports: dict[str, int]

    @property
    def own(self) -> tuple[str, str]:
        """The filter for containers of this stack."""
        return ("--filter", f"label=com.docker.compose.project={self.project}")

    def compose(self, *words: str, timeout_s: float = 300, check: bool = True) -> str:
        """Run `docker-compose WORDS…`, or `docker compose WORDS…` where that is what there is."""
        client = ("docker-compose",) if shutil.which("docker-compose") else ("docker", "compose")
        own = {"COMPOSE_PROJECT_NAME": self.project, "KOBOSHI_IMAGE": self.image}
        ports = {f"KOBOSHI_{name}_PORT": str(port) for name, port in self.ports.items()}
        environment = {**self.docker.environment, **own, **ports}
        return call((*client, *words), environment, cwd=self.folder, timeout_s=timeout_s, check=check)

    def up(self) -> float:
        """Start everything; how long it took until every service was healthy."""
        begun = time.monotonic()
        self.compose("up", "-d", timeout_s=UP_LIMIT_S)
        self.wait_until_healthy(UP_LIMIT_S)
        return time.monotonic() - begun

    def wait_until_healthy(self, within_s: float = 240.0) -> None:
        """Every lasting service is healthy, every other one has ended well."""
        until(lambda: not self.ill(), within_s, lambda: f"not healthy: {self.ill()}\n{self.reasons()}")

    def ill(self) -> list[Container]:
        """The services that are not as they should be."""
        return [c for c in self.containers().values() if not _is_well(c)]

    def reasons(self) -> str:
        """The last lines of those that are not well."""
        return "\n".join(self.compose("logs", "--tail", "25", c.name, check=False) for c in self.ill())

    def containers(self) -> dict[str, Container]:
        """Every container of the stack, by its service."""
        ids = self.docker.run("ps", "-aq", *self.own).split()
        found = json.loads(self.docker.run("inspect", *ids)) if ids else []
        return {c.name: c for c in map(_container, found)}

    def container_id(self, service: str) -> str:
        """The container that stands for a service now."""
        return self.compose("ps", "-q", service).strip()

    def execute(self, service: str, *command: str, timeout_s: float = 600) -> str:
        """Run a command in a service's container."""
        return self.compose("exec", "-T", service, *command, timeout_s=timeout_s)

    def memory_mb(self) -> dict[str, float]:
        """What each container uses, without the pages of files that could be dropped."""
        ids = self.docker.run("ps", "-q", *self.own).split()
        lines = self.docker.run("stats", "--no-stream", "--format", "{{json .}}", *ids).splitlines()
        read = [json.loads(line) for line in lines]
        return {entry["Name"].removeprefix(self.project).strip("_-"): _mebibytes(entry["MemUsage"]) for entry in read}

    def url(self, name: str) -> str:
        """Where something is published."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def secret(self, name: str) -> str:
        """A secret of the `.env` file."""
        return variables((self.folder / ".env").read_text())[name]

    def passwords_file(self) -> Path:
        """Airflow's login as its client reads it."""
        path = self.folder / "airflow-passwords.json"
        path.write_text(json.dumps({"admin": self.secret(PASSWORD.variable)}))
        return path

    def ray_headers(self) -> dict[str, str]:
        """What Ray's dashboard asks for."""
        return {"Authorization": f"Bearer {self.secret(TOKEN.variable)}"}


@contextmanager
def compose_stack(docker: Docker, image: str, folder: Path) -> Iterator[ComposeStack]:
    """Everything but started; whatever a test starts is removed after it, volumes too."""
    shutil.copy(REPOSITORY / "docker-compose.yml", folder)
    (folder / "koboshi.toml").touch()
    stack = ComposeStack(docker, folder, image, f"koboshi-test-{folder.name[-8:].lower()}", free_ports())
    subprocess.run([KOBOSHI, "compose", "init"], cwd=folder, check=True, capture_output=True)
    try:
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", timeout_s=300, check=False)


def free_ports() -> dict[str, int]:
    """A port for each thing that is published; the kernel says which are free."""
    sockets = {name: socket.socket() for name in PORTS}
    for one in sockets.values():
        one.bind(("127.0.0.1", 0))
    ports = {name: int(one.getsockname()[1]) for name, one in sockets.items()}
    for one in sockets.values():
        one.close()
    return ports


def until(true: Callable[[], object], within_s: float, otherwise: Callable[[], str], every_s: float = 1.0) -> None:
    """Wait for something, with a limit."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(every_s)


def _container(found: dict[str, Any]) -> Container:
    state = found["State"]
    return Container(
        found["Config"]["Labels"]["com.docker.compose.service"],
        bool(state["Running"]),
        state.get("Health", {}).get("Status", ""),
        int(state["ExitCode"]),
        int(found["RestartCount"]),
    )


def _is_well(container: Container) -> bool:
    if container.name in ONE_SHOTS:
        return not container.running and container.exit_code == 0
    return container.running and container.health == "healthy"


def _mebibytes(usage: str) -> float:
    """From `312.4MiB / 15GiB`."""
    used = usage.partition(" / ")[0]
    units = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0, "B": 1 / 1024**2}
    unit = next(unit for unit in units if used.endswith(unit))
    return float(used.removesuffix(unit)) * units[unit]
