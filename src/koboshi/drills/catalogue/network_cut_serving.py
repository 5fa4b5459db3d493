"""network-cut-serving: the network between the gateway and one replica falls silent, and heals."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.cut_replica_scene import CutReplicaScene
from koboshi.drills.scenes.serving_checks import (
    all_answered,
    all_right,
    champion_is_served,
    gateway_has_all_replicas,
    share_is_back,
    struck_replica_fell_silent,
)
from koboshi.drills.strike import Strike


def cut_the_network(scene: CutReplicaScene) -> list[Strike]:
    """A black hole, not a reset: bytes go in and none come out, until the others have answered for a while."""
    return [scene.cut()]


DRILL: Drill[CutReplicaScene] = Drill(
    name="network-cut-serving",
    claim="While the network to a replica is silent under load every prediction is answered, in a bounded time, and "
    "right; when it heals the replica takes its share again.",
    fault="a silent network between the gateway and one replica",
    layer="serving",
    scene=CutReplicaScene,
    steady=(champion_is_served, gateway_has_all_replicas),
    strike=cut_the_network,
    within_s=240,
    verdict=(struck_replica_fell_silent, all_answered, all_right, share_is_back),
)
