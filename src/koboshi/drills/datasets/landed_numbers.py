"""The landed records of a drill's own topic: landed, pinned, audited and repaired in the usual ways."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from koboshi.datasets import pinning
from koboshi.formats import cut
from koboshi.ingest.audit import PartitionVerdict, audit_topic
from koboshi.ingest.confluent_audit import ConfluentBroker
from koboshi.ingest.kafka_source import KafkaSource
from koboshi.ingest.landing import Lander, repair_topic
from koboshi.ledger import Ledger, spans


class LandedNumbers:
    """One topic, with a state folder and a ledger that only the drill uses."""

    def __init__(self, bootstrap_servers: str, topic: str, state_dir: Path) -> None:
        """Nothing is landed yet."""
        self._servers, self._topic, self._state_dir = bootstrap_servers, topic, state_dir
        self._state_dir.mkdir(parents=True)

    @property
    def ledger_url(self) -> str:
        """The drill's own ledger."""
        return f"sqlite:///{self._state_dir / 'ledger.db'}"

    def land_and_pin(self, project: Path) -> None:
        """Land all that the topic holds, and let the project's cut reach to its end."""
        with self._lander() as lander:
            lander.land_topic(self._topic)
            pinning.pin(lander.ledger, self._state_dir, [self._topic], project / cut.FILE)

    def files(self) -> list[Path]:
        """The committed spans' files, by partition and start."""
        with closing(Ledger(self.ledger_url)) as ledger:
            return [self._state_dir / span.path for span in spans.committed(ledger, self._topic)]

    def audit(self) -> list[PartitionVerdict]:
        """Each partition's verdict against the broker."""
        with closing(Ledger(self.ledger_url)) as ledger, closing(ConfluentBroker(self._servers)) as broker:
            return list(audit_topic(broker, self._state_dir, spans.committed(ledger, self._topic)))

    def repair_spans(self) -> list[Path]:
        """Land again what is not as it was committed; the files that were put back."""
        with self._lander() as lander:
            return [self._state_dir / span.path for span in repair_topic(lander, self._topic)]

    @contextmanager
    def _lander(self) -> Iterator[Lander]:
        holder = f"drill:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        with closing(Ledger(self.ledger_url)) as ledger, closing(KafkaSource(self._servers)) as source:
            yield Lander(ledger, source, self._state_dir, holder, span_records=5_000)
