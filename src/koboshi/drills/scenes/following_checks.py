"""The checks of the drills on a stream that goes on: acknowledged ⊆ landed ⊆ attempted, for the broker and for us."""

from collections import Counter
from collections.abc import Iterable, Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes import confluent_producer as producer
from koboshi.drills.scenes.following_scene import FollowingScene
from koboshi.drills.strike import Strike
from koboshi.ingest.confluent_audit import ConfluentBroker
from koboshi.ingest.parquet_audit import read_records


def broker_kept_its_word(scene: FollowingScene, _strikes: Sequence[Strike]) -> Finding:
    """Kafka itself: what it acknowledged is on it, once, where it said; nothing is that nobody sent."""
    places = dict(_on_the_broker(scene))
    word = producer.acknowledged(scene.sent)
    moved = sum(places.get(place) != number for number, place in word.items())
    wrong = [*_wrong(scene, Counter(places.values())), *([f"{moved:,} are not where it said"] if moved else [])]
    return _found("broker_kept_its_word", "broker", scene, wrong)


def acknowledged_is_landed(scene: FollowingScene, _strikes: Sequence[Strike]) -> Finding:
    """Ours: what was acknowledged is landed, once; nothing is that nobody sent."""
    files = scene.counted(scene.state_dir)
    landed = Counter(producer.number_of(record[3] or b"") for file in files for record in read_records(file))
    return _found("acknowledged_is_landed", "landed", scene, list(_wrong(scene, landed)))


def _on_the_broker(scene: FollowingScene) -> Iterable[tuple[tuple[int, int], int]]:
    broker = ConfluentBroker(scene.bootstrap_servers)
    try:
        for partition, end in scene.topic.ends().items():
            for record in broker.records(scene.topic.name, partition, 0, end):
                yield (partition, record[0]), producer.number_of(record[3] or b"")
    finally:
        broker.close()


def _wrong(scene: FollowingScene, there: Counter[int]) -> list[str]:
    """Names the first record of each kind of wrong."""
    word, attempted = producer.acknowledged(scene.sent), producer.attempted(scene.sent)
    kinds = {
        "acknowledged, and lost": sorted(number for number in word if number not in there),
        "doubled": sorted(number for number, times in there.items() if times > 1),
        "there, and never sent": sorted(number for number in there if number >= attempted),
    }
    return [f"{len(numbers):,} are {what}, first record {numbers[0]}" for what, numbers in kinds.items() if numbers]


def _found(check: str, where: str, scene: FollowingScene, wrong: Sequence[str]) -> Finding:
    word, attempted = len(producer.acknowledged(scene.sent)), producer.attempted(scene.sent)
    said = f"{where}: of {attempted:,} attempted records {word:,} were acknowledged"
    well = "every one is there, 0 lost, 0 doubled"
    return Finding(check, not wrong and word > 0, f"{said}; {'; '.join(wrong) or well}")
