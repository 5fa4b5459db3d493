"""network-cut-ingest: the network between lander and broker falls silent in the middle of landing, and heals."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.cut_ingest_scene import CutIngestScene, gave_up_in_time
from koboshi.drills.scenes.following_checks import acknowledged_is_landed
from koboshi.drills.scenes.landing_checks import kafka_works, landed_equals_the_broker
from koboshi.drills.strike import Strike


def cut_the_network(scene: CutIngestScene) -> list[Strike]:
    """A black hole, not a reset: connections stay open, and nothing comes through any more."""
    return [scene.cut()]


DRILL: Drill[CutIngestScene] = Drill(
    name="network-cut-ingest",
    claim="When the network between lander and Kafka falls silent, the lander waits no longer than its patience, and "
    "lands everything once when it heals.",
    fault="a TCP proxy between lander and Kafka goes silent, and heals",
    layer="ingest",
    scene=CutIngestScene,
    steady=(kafka_works,),
    strike=cut_the_network,
    within_s=180,
    verdict=(gave_up_in_time, acknowledged_is_landed, landed_equals_the_broker),
)
