"""broker-killed: SIGKILL of Kafka while records are produced and landed."""

from koboshi.drills.drill import Drill, Finding, Injection
from koboshi.drills.ingest.following_environment import (
    FollowingEnvironment,
    acknowledged_is_landed,
    broker_kept_its_word,
)
from koboshi.drills.kit.confluent_topic import kafka_works, landed_equals_the_broker
from koboshi.drills.kit.faults import kill, processes_of


def kafka_is_ours(environment: FollowingEnvironment) -> Finding:
    """It runs here, under the stack's supervisor: what cannot be killed cannot be put to the test."""
    main, *_ = processes_of(environment.settings, "kafka")
    return Finding("kafka_is_ours", True, f"Kafka is process {main} of this stack")


def kill_kafka(environment: FollowingEnvironment) -> list[Injection | None]:
    """SIGKILL to the broker."""
    return [kill("Kafka", processes_of(environment.settings, "kafka"))]


DRILL: Drill[FollowingEnvironment] = Drill(
    name="broker-killed",
    claim="When Kafka is killed while records are produced and landed, both go on by themselves once it is back: every "
    "acknowledged record is landed once.",
    fault="SIGKILL of Kafka under steady produce and ingest",
    layer="stream",
    environment=FollowingEnvironment,
    steady=(kafka_is_ours, kafka_works),
    inject=kill_kafka,
    within_s=180,
    verdict=(broker_kept_its_word, acknowledged_is_landed, landed_equals_the_broker),
)
