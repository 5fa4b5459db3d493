"""Small trainings in a folder of their own."""

from collections.abc import Mapping
from pathlib import Path

from koboshi.formats.manifest import DatasetRef
from koboshi.journal import Journal
from koboshi.ledger import Ledger
from koboshi.training import RunConfig, TrainingSpec, UnitSpec
from koboshi.training.attach import final_steps
from koboshi.training.spec import training_key
from tests.support.chain_unit import straight

TABLE = DatasetRef("table", "t" * 64)
CHAIN = "tests.support.chain_unit:Chain"


def chain_spec(folder: Path, *, steps: Mapping[str, int], rounds: int = 1, project: Path | None = None) -> TrainingSpec:
    """Chains of digests as units, named by their seeds."""
    units = {name: UnitSpec(CHAIN, {"seed": name, "rounds": rounds}, count) for name, count in steps.items()}
    place = RunConfig(str(project or folder), str(folder), f"sqlite:///{folder / 'ledger.db'}", lease_s=5.0)
    return TrainingSpec(training_key(TABLE, units, salt=str(folder)), TABLE, units, place)


def ledger_of(spec: TrainingSpec) -> Ledger:
    return Ledger(spec.place.ledger_url)


def journal_of(spec: TrainingSpec) -> Journal:
    return Journal(spec.place.journal)


def final_states(spec: TrainingSpec) -> dict[str, bytes]:
    """The bytes of the final checkpoints."""
    done = final_steps(spec, ledger_of(spec))
    assert done is not None
    return {name: (spec.place.checkpoints / steps[-1].checkpoint.path).read_bytes() for name, steps in done.items()}


def undisturbed(spec: TrainingSpec) -> dict[str, bytes]:
    """What the final checkpoints of a chain training have to be."""
    table = DatasetRef(str(Path(spec.place.project) / spec.table.path), spec.table.manifest_sha256)
    return {name: straight(name, table, unit.steps, unit.params["rounds"]) for name, unit in spec.units.items()}


def events_of(spec: TrainingSpec, name: str) -> list[dict[str, object]]:
    return [event for event in journal_of(spec).events() if event["event"] == name]
