import pytest

from koboshi.ingest.landing import Lander
from koboshi.ledger import Ledger
from tests.support.memory_stream import MemoryStream


@pytest.fixture
def stream():
    stream = MemoryStream()
    stream.make("t", 25, 0, 40)
    return stream


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield ledger
    ledger.close()


@pytest.fixture
def lander(ledger, stream, tmp_path):
    return Lander(ledger, stream, tmp_path, "me", span_records=10, lease_s=30)
