"""The checks of the drill that kills the scheduler: what Airflow, the broker, Ray and the files say."""

from collections.abc import Iterator, Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.scheduler_scene import SchedulerScene
from koboshi.drills.scenes.workspace import STAGE
from koboshi.drills.strike import Strike
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.confluent_audit import ConfluentBroker
from koboshi.ledger import Ledger, spans
from koboshi.probes.kafka_probe import probe_kafka


def kafka_works(scene: SchedulerScene) -> Finding:
    """A record comes through it."""
    health = probe_kafka(scene.bootstrap_servers)
    return Finding("kafka_works", health.ok, f"Kafka: {health.detail}")


def both_tasks_were_interrupted(scene: SchedulerScene, strikes: Sequence[Strike]) -> Finding:
    """The scheduler died each time, and both the landing and the training were tried again, and succeeded."""
    tries = {"land": scene.airflow.tries(scene.landing, "land"), STAGE: scene.airflow.tries(scene.run, STAGE)}
    told = "; ".join(f"{name}: {', '.join(str(one.state) for one in of)}" for name, of in tries.items())
    again = all(len(of) > 1 and of[-1].state == "success" for of in tries.values())
    pids = {strike.pid for strike in strikes}
    holds = again and all(strike.took for strike in strikes) and len(pids) == len(strikes)
    return Finding("both_tasks_were_interrupted", holds, f"tries of {told}")


def landed_equals_the_broker(scene: SchedulerScene, _strikes: Sequence[Strike]) -> Finding:
    """Each offset is in exactly one file that counts; and the audit finds every record equal."""
    counted = scene.tally()
    wrong = [*counted.wrong(), *_audited(scene)]
    said = "; ".join(wrong) or f"audit: equal in every partition, {counted.records:,} records, each landed once"
    return Finding("landed_equals_the_broker", not wrong, said)


def trained_once(scene: SchedulerScene, _strikes: Sequence[Strike]) -> Finding:
    """Ray had one job of this training, however often its task was tried."""
    jobs = scene.ray.jobs(scene.folder)
    told = ", ".join(f"{job.name} {job.status}" for job in jobs) or "none"
    holds = len(jobs) == 1 and jobs[0].status == "SUCCEEDED"
    return Finding("trained_once", holds, f"Ray ran {len(jobs)} job{'s' * (len(jobs) != 1)} for one training: {told}")


def _audited(scene: SchedulerScene) -> Iterator[str]:
    """What the audit finds wrong; to find nothing to look at is wrong, too."""
    ledger, broker = Ledger(scene.spec.place.ledger_url), ConfluentBroker(scene.bootstrap_servers)
    try:
        landed = spans.committed(ledger, scene.topic.name)
        verdicts = list(audit_topic(broker, scene.settings.state_dir, landed))
    finally:
        broker.close()
        ledger.close()
    yield from (f"audit: partition {v.partition} is {v.outcome}" for v in verdicts if v.outcome != "equal")
    if silent := scene.topic.partitions - len(verdicts):
        yield f"the audit knows nothing of {silent} partitions"
