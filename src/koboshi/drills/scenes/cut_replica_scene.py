"""The scene of network-cut-serving: a gateway of the drill's own, and a proxy on its way to one replica."""

from collections.abc import Callable

from koboshi.drills.faults.tcp_proxy import TcpProxy
from koboshi.drills.scenes.envoy_gateway import MakeGateway, own_gateway
from koboshi.drills.scenes.serving_scene import REQUESTS, ServingScene
from koboshi.drills.strike import Strike
from koboshi.errors import BadInput
from koboshi.settings import Settings

SWALLOWED_WITHIN_S = 10.0


class CutReplicaScene(ServingScene):
    """The stack's replicas behind another gateway; the stack's own goes on undisturbed."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        gateway: MakeGateway = own_gateway,
        requests: int = REQUESTS,
    ) -> None:
        """Nothing is done yet; `gateway` makes the gateway that sends through the proxy."""
        super().__init__(settings, say, gateway, requests)
        self._proxy: TcpProxy | None = None

    def routes(self) -> dict[str, int]:
        """The struck replica is reached through the proxy."""
        return {**self.replicas, self.victim: self.proxy.listen}

    @property
    def proxy(self) -> TcpProxy:
        """The way to the replica that is cut off."""
        if self._proxy is None:
            raise BadInput("the drill's own work has not begun.")
        return self._proxy

    def begin(self) -> None:
        """Put the proxy on the way, then begin as ever."""
        proxy = TcpProxy("127.0.0.1", self.replicas[self.victim])
        proxy.start()
        self._proxy = proxy
        super().begin()

    def cut(self) -> Strike:
        """The network to one replica falls silent until it heals."""
        self.heals_by(self.proxy.heal)
        return self.proxy.strike(f"the way to {self.victim}", SWALLOWED_WITHIN_S)

    def close(self, *, keep_files: bool) -> None:
        """End the gateway first, then the proxy."""
        super().close(keep_files=keep_files)
        if self._proxy is not None:
            self._proxy.close()
