"""poison-records: records that no decoder can take, and such as come twice, in the middle of a stream."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.landing_checks import kafka_works, landed_equals_the_broker
from koboshi.drills.scenes.poison_checks import each_counted_once, refused_at_the_door
from koboshi.drills.scenes.poison_scene import PoisonScene
from koboshi.drills.strike import Strike


def poison_the_stream(scene: PoisonScene) -> list[Strike]:
    """Undecodable, of a wrong schema, oversized, and said again: one strike for each kind."""
    return scene.poison()


DRILL: Drill[PoisonScene] = Drill(
    name="poison-records",
    claim="Poison in the stream does not stop the landing: each such record is counted once, in dead letters or "
    "duplicates, and everything else is there.",
    fault="undecodable, wrong, oversized and doubled records in the stream",
    layer="ingest",
    scene=PoisonScene,
    steady=(kafka_works,),
    strike=poison_the_stream,
    within_s=120,
    verdict=(refused_at_the_door, landed_equals_the_broker, each_counted_once),
    faults=4,
)
