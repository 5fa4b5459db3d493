"""network-cut-serving: the network between the gateway and one replica falls silent, and heals."""

from functools import partial

from koboshi.drills.drill import Drill, Strike
from koboshi.drills.serving.envoy_gateway import own_gateway
from koboshi.drills.serving.load_scene import all_answered, all_right, champion_is_served, gateway_has_all_replicas
from koboshi.drills.serving.replica_scene import ServingScene, share_is_back, struck_replica_fell_silent

SWALLOWED_WITHIN_S = 10.0


def cut_the_network(scene: ServingScene) -> list[Strike]:
    """A black hole, not a reset: bytes go in and none come out, until the others have answered for a while."""
    scene.heals_by(scene.proxy.heal)
    return [scene.proxy.strike(f"the way to {scene.victim}", SWALLOWED_WITHIN_S)]


DRILL: Drill[ServingScene] = Drill(
    name="network-cut-serving",
    claim="While the network to a replica is silent under load every prediction is answered, in a bounded time, and "
    "right; when it heals the replica takes its share again.",
    fault="a silent network between the gateway and one replica",
    layer="serving",
    scene=partial(ServingScene, gateway=own_gateway, through_proxy=True),
    steady=(champion_is_served, gateway_has_all_replicas),
    strike=cut_the_network,
    within_s=240,
    verdict=(struck_replica_fell_silent, all_answered, all_right, share_is_back),
)
