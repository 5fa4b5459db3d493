"""The checks of dataset-flipped: exit codes, what was said, and bytes compared with those from before."""

from collections.abc import Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.dataset_scene import RECORDS, DatasetScene
from koboshi.drills.scenes.small_stages import NUMBERS, TABLE
from koboshi.drills.strike import Strike
from koboshi.errors import Permanent
from koboshi.probes.kafka_probe import probe_kafka
from koboshi.settings import required

REFUSED = Permanent.exit_code


def kafka_answers(scene: DatasetScene) -> Finding:
    """A record can be written and read."""
    health = probe_kafka(required(scene.settings.kafka.bootstrap_servers, "Kafka"))
    return Finding("kafka_answers", health.ok, f"Kafka: {health.detail}")


def rotten_object_is_refused(scene: DatasetScene, strikes: Sequence[Strike]) -> Finding:
    """DVC hands the changed bytes out and says nothing; whoever reads them refuses, and names file and object."""
    read = scene.told["read"]
    if read.code == 0:
        said = f"the flipped byte reached the reader, which made {scene.read_total} of it, not {scene.right_total}"
        return Finding("rotten_object_is_refused", False, said)
    named = f"{NUMBERS}/{TABLE}" in read.said and str(scene.struck_object) in read.said
    untouched = scene.read_total == scene.right_total
    holds = read.code == REFUSED and named and untouched and strikes[0].took
    said = f"dvc checkout ended with {scene.told['checkout'].code}, the reader with {read.code}"
    said += "" if untouched else f", and it published {scene.read_total}"
    return Finding("rotten_object_is_refused", holds, f"{said}; it {'named' if named else 'did not name'} the object")


def rotten_span_is_refused(scene: DatasetScene, strikes: Sequence[Strike]) -> Finding:
    """The stage that reads the span refuses it by name, and the audit calls it broken."""
    made, name = scene.told["make"], scene.struck_span.name
    audited = [said for said in scene.audits["broken"] if said.startswith("broken") and name in said]
    holds = made.code == REFUSED and name in made.said and len(audited) == 1 and strikes[-1].took
    told = "named" if name in made.said else "did not name"
    said = f"the stage ended with {made.code} and {told} the span; the audit found {len(audited)} broken"
    return Finding("rotten_span_is_refused", holds, said)


def all_is_as_before(scene: DatasetScene, _strikes: Sequence[Strike]) -> Finding:
    """Repaired: spans and datasets have their bytes again, the total is right, the audit calls the spans equal."""
    after = scene.digests()
    wrong = sorted(name for name in scene.before.keys() | after.keys() if scene.before.get(name) != after.get(name))
    if scene.total() != scene.right_total:
        wrong.append(f"the total {scene.total()}")
    wrong += [f"the audit ({said})" for said in scene.audits["mended"] if said != "equal"]
    said = f"not as before: {', '.join(wrong)}" if wrong else f"{RECORDS:,} records, {len(after)} digests as before"
    return Finding("all_is_as_before", not wrong, said)
