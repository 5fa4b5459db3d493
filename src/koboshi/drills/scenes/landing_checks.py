"""The checks of the landing drills: they ask the broker with another client, and read the files with another reader."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.landing_scene import LandingScene
from koboshi.drills.scenes.topic_scene import TopicScene
from koboshi.drills.strike import Strike
from koboshi.errors import Fenced
from koboshi.files import sha256_of
from koboshi.ingest.audit import audit_topic
from koboshi.ingest.confluent_audit import ConfluentBroker
from koboshi.ledger import Ledger, spans
from koboshi.probes.kafka_probe import probe_kafka

Row = tuple[int, int, int, int]


def kafka_works(scene: TopicScene) -> Finding:
    """A record comes through it."""
    health = probe_kafka(scene.bootstrap_servers)
    return Finding("kafka_works", health.ok, f"Kafka: {health.detail}")


def landed_equals_the_broker(scene: TopicScene, _strikes: Sequence[Strike]) -> Finding:
    """Each offset is in exactly one file that counts; and the audit finds every record equal."""
    wrong = list(scene.tally().wrong()) or _audited(scene)
    records = scene.tally().records
    said = "; ".join(wrong) or f"audit: equal in every partition, {records:,} records, each landed once"
    return Finding("landed_equals_the_broker", not wrong, said)


def files_equal_the_controls(scene: LandingScene, _strikes: Sequence[Strike]) -> Finding:
    """The files that count have the names and the bytes of those that the undisturbed lander made of the same plan."""
    ours, control = (_digests(scene.counted(folder), folder) for folder in (scene.state_dir, scene.control_dir))
    differing = sorted(name for name in ours.keys() | control.keys() if ours.get(name) != control.get(name))
    said = f"{len(ours)} files, byte for byte those of the undisturbed lander"
    if differing or not control:
        said = f"{len(differing)} files are not those of the undisturbed lander: {', '.join(differing[:3])}"
    return Finding("files_equal_the_controls", bool(control) and not differing, said)


def _audited(scene: TopicScene) -> list[str]:
    """What the audit finds wrong; to find nothing to look at is wrong, too."""
    ledger, broker = Ledger(f"sqlite:///{scene.state_dir / 'ledger.db'}"), ConfluentBroker(scene.bootstrap_servers)
    try:
        verdicts = list(audit_topic(broker, scene.state_dir, spans.committed(ledger, scene.topic.name)))
    finally:
        broker.close()
        ledger.close()
    wrong = [f"audit: partition {v.partition} is {v.outcome} at offset {v.offset}" for v in verdicts if not v.stands]
    gone = [f"audit: partition {v.partition} is {v.outcome}" for v in verdicts if v.stands and v.outcome != "equal"]
    silent = scene.topic.partitions - len(verdicts)
    return [*wrong, *gone, *([f"the audit knows nothing of {silent} partitions"] if silent else [])]


def _digests(files: Sequence[Path], folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def zombie_committed_nothing(scene: LandingScene, _strikes: Sequence[Strike]) -> Finding:
    """I3: tokens never go back in the order of the commits, and the zombie was refused when it went on (65)."""
    rows, code = committed_rows(scene.state_dir / "ledger.db", scene.topic.name), scene.first.ended(0)
    wrong = token_gone_back(rows)
    said = wrong or f"the zombie ended with {code}: {scene.first.last_words()}"
    return Finding("zombie_committed_nothing", not wrong and code == Fenced.exit_code, said)


def committed_rows(path: Path, topic: str) -> list[Row]:
    """The committed spans (partition, start, end, token) in the order of their commits, read past the ledger's code."""
    query = (
        "SELECT partition, start, end, token FROM spans WHERE topic = ? AND state = 'committed' ORDER BY committed_at"
    )
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query, (topic,)).fetchall()


def token_gone_back(rows: Sequence[Row]) -> str:
    """Names the first span that was committed under an older token than one before it; empty when there is none."""
    newest: dict[int, int] = {}
    for partition, start, end, token in rows:
        if token < newest.get(partition, token):
            return (
                f"partition {partition}: [{start}, {end}) was committed under token {token}, "
                f"after token {newest[partition]} had taken over"
            )
        newest[partition] = token
    return ""
