"""Whatever was scored before, and whoever dies on the way: the same bytes, and nothing is scored that was there."""

import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koboshi.events import unheard
from koboshi.ledger import Ledger
from koboshi.ledger.tables import steps
from koboshi.scoring.batch import Order, score
from koboshi.training import attach
from tests.support.artefacts import flip_a_byte
from tests.support.local_pool import AFTER, BEFORE, LocalPool
from tests.support.scorings import PARTITIONS, LocalJobs, files_of, place_in, recorded_version, small_order

NAMES = [f"part-{n:05d}-of-{PARTITIONS:05d}" for n in range(PARTITIONS)]
COMMITTED, FLIPPED, LOST, UNKNOWN = "committed", "its file flipped", "its file lost", "its file there, but no row"
FOUND = st.fixed_dictionaries({name: st.sampled_from([COMMITTED, FLIPPED, LOST, UNKNOWN]) for name in NAMES})
DEATHS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.just(1), st.sampled_from([BEFORE, AFTER])), unique=True, max_size=6
)


@dataclasses.dataclass(frozen=True)
class Scored:
    """A scoring that nobody disturbed: its order, the state folder it left, and what it published."""

    order: Order
    state: Path
    files: Mapping[str, bytes]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scored]:
    folder = tmp_path_factory.mktemp("scored")
    order = small_order(folder, recorded_version(folder / "model"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attach, "POLL_S", 0.0)
        score(order, place_in(folder / "state"), LocalJobs(), Path("job.py"), unheard)
        yield Scored(order, folder / "state", files_of(order.to))


def spoil(state: Path, found: Mapping[str, str]) -> None:
    """Make of a complete scoring one that was left in the middle."""
    ledger = Ledger(f"sqlite:///{state / 'ledger.db'}")
    for name, how in found.items():
        (file,) = state.glob(f"checkpoints/*/{name}/*.ckpt")
        if how == FLIPPED:
            flip_a_byte(file)
        elif how == LOST:
            file.unlink()
        elif how == UNKNOWN:
            with ledger.transaction() as connection:
                connection.execute(steps.delete().where(steps.c.unit == name))
    ledger.close()


@given(found=FOUND, deaths=DEATHS)
@settings(max_examples=25)
def test_any_state_and_any_deaths_give_the_same_bytes(
    scored: Scored, found: Mapping[str, str], deaths: Sequence[tuple[str, int, str]]
) -> None:
    """I2, I5: a partition that is committed and verifies is taken; every other is scored, once more for each death."""
    with TemporaryDirectory(dir=scored.state.parent) as fresh:
        state = Path(shutil.copytree(scored.state, Path(fresh) / "state"))
        spoil(state, found)
        jobs = LocalJobs(partial(LocalPool, deaths))
        order = dataclasses.replace(scored.order, to=Path(fresh) / "scored")
        score(order, place_in(state), jobs, Path("job.py"), unheard)
        assert files_of(order.to) == scored.files
        missing = [name for name in NAMES if found[name] != COMMITTED]
        again = [name for name, _step, _when in deaths if name in missing]
        assert sorted(jobs.begun) == sorted(missing + again)
