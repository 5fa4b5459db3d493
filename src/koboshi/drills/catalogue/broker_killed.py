"""broker-killed: SIGKILL of Kafka while records are produced and landed."""

from koboshi.drills.drill import Drill
from koboshi.drills.evidence import Finding
from koboshi.drills.faults.signals import kill
from koboshi.drills.scenes.following_checks import acknowledged_is_landed, broker_kept_its_word
from koboshi.drills.scenes.following_scene import FollowingScene
from koboshi.drills.scenes.landing_checks import kafka_works, landed_equals_the_broker
from koboshi.drills.strike import Strike
from koboshi.stack.kill import Victim, find_victim
from koboshi.stack.places import find_places


def kafka_is_ours(scene: FollowingScene) -> Finding:
    """It runs here, under the stack's supervisor: what cannot be killed cannot be put to the test."""
    return Finding("kafka_is_ours", True, f"Kafka is process {_kafka(scene).pids[0]} of this stack")


def kill_kafka(scene: FollowingScene) -> list[Strike]:
    """SIGKILL to the broker."""
    strike = kill("Kafka", _kafka(scene).pids)
    return [strike] if strike else []


def _kafka(scene: FollowingScene) -> Victim:
    settings = scene.settings
    return find_victim("kafka", settings, find_places(settings.project, settings.state_dir))


DRILL: Drill[FollowingScene] = Drill(
    name="broker-killed",
    claim="When Kafka is killed while records are produced and landed, both go on by themselves once it is back: every "
    "acknowledged record is landed once.",
    fault="SIGKILL of Kafka under steady produce and ingest",
    layer="stream",
    scene=FollowingScene,
    steady=(kafka_is_ours, kafka_works),
    strike=kill_kafka,
    within_s=180,
    verdict=(broker_kept_its_word, acknowledged_is_landed, landed_equals_the_broker),
)
