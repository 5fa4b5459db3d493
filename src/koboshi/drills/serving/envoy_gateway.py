"""The gateway of a serving drill, the stack's or one of its own, and what Envoy itself counts of each replica."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from koboshi.drills.kit.own_run import OwnProcess, free_port
from koboshi.drills.kit.parts import processes_of
from koboshi.drills.kit.watching import LOOK_S, Watch
from koboshi.errors import Unavailable
from koboshi.gateways.envoy import ENVOY
from koboshi.gateways.gateway import Front, ReplicaSeen
from koboshi.settings import Settings, required
from koboshi.stack.lifecycle import known_parts
from koboshi.stack.paths import find_paths

Render = Callable[[Front], str]


class Gateway:
    """Where predictions are asked for (`url`), and where Envoy tells of itself (`admin`). Made, it runs already."""

    def __init__(
        self, url: str, admin: str, pids: Callable[[], Sequence[int]] = tuple, process: OwnProcess | None = None
    ) -> None:
        """`pids` tells its processes; `process` is ended with the drill, when the gateway is the drill's own."""
        self.url, self.pids, self._admin, self._process = url, pids, admin, process

    def hosts(self) -> dict[int, ReplicaSeen]:
        """What Envoy knows of each replica, by port."""
        return ENVOY.observe(self._admin)

    def close(self) -> None:
        """End a gateway of one's own."""
        if self._process is not None:
            self._process.stop()


MakeGateway = Callable[[Settings, Path, Mapping[str, int]], Gateway]
"""A gateway in front of replicas (ports by name), with a folder for what it needs."""


def stack_gateway(settings: Settings, _folder: Path, _replicas: Mapping[str, int]) -> Gateway:
    """The one that the stack runs, which has its replicas already."""
    parts = known_parts(find_paths(settings.project, settings.state_dir))
    if "gateway" not in parts:
        raise Unavailable("the stack has no gateway of its own: start it with `koboshi up`.")
    _listen, admin = parts["gateway"].ports
    url = required(settings.gateway.url, "the gateway")
    return Gateway(url, f"http://127.0.0.1:{admin}", partial(processes_of, settings, "gateway"))


def own_gateway(
    _settings: Settings, folder: Path, replicas: Mapping[str, int], render: Render = ENVOY.render
) -> Gateway:
    """A process of the drill's, with the configuration that the stack's gateway has, or another one."""
    listen, admin = free_port(), free_port()
    configuration = folder / "envoy.yaml"
    configuration.write_text(render(Front(listen, admin, replicas)))
    process = OwnProcess("gateway", ENVOY.command(configuration), folder, {})
    process.start()
    return Gateway(f"http://127.0.0.1:{listen}", f"http://127.0.0.1:{admin}", process.pids, process)


class ReplicaWatch(Watch):
    """Looks at one replica in the gateway's eyes, ten times a second: when it was first troubled, when out, when in."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        """Begin to look; what was counted before is no news."""
        super().__init__(self._look, LOOK_S)
        self.seen: list[tuple[float, bool, int]] = []
        self._gateway, self._port = gateway, port
        self.start()

    def first_trouble(self, after_s: float) -> float | None:
        """When, after some moment, a try on this replica was first seen to have failed, or the replica to be out."""
        before = max((troubles for at, _, troubles in self.seen if at <= after_s), default=0)
        return next((at for at, healthy, n in self.seen if at > after_s and (n > before or not healthy)), None)

    def changes(self) -> list[tuple[float, bool]]:
        """When it was taken out (False) and in again (True)."""
        pairs = zip(self.seen, self.seen[1:], strict=False)
        return [(at, healthy) for (_, before, _), (at, healthy, _) in pairs if healthy != before]

    def _look(self) -> None:
        with suppress(Unavailable, KeyError):
            host = self._gateway.hosts()[self._port]
            self.seen.append((time.time(), host.healthy, host.troubles))
