"""The commit path of the outbox, for the sweep: a training is kept until MLflow takes it."""

import os
from pathlib import Path
from typing import Any

from koboshi.errors import KoboshiError
from koboshi.registry.outbox import Outbox
from koboshi.registry.progress import StepRecord, TrainingRecord, UnitRecord

KEYS = ("01" * 32, "02" * 32)


class KeepATraining:
    """Put a training into the outbox, behind one that waits already; a leftover of long ago is swept on the way."""

    def prepare(self, folder: Path) -> None:
        Outbox.of(folder).add(_training(KEYS[0]))
        leftover = Outbox.of(folder).folder / ".part-of-long-ago"
        leftover.touch()
        os.utime(leftover, (0, 0))

    def enter(self, folder: Path) -> None:
        Outbox.of(folder).add(_training(KEYS[1]))

    def violations(self, folder: Path) -> list[str]:
        """Each entry is whole, and the first one is still there."""
        outbox = Outbox.of(folder)
        try:
            kept = [outbox.read(entry) for entry in outbox.entries()]
        except KoboshiError as error:
            return [str(error)]
        return [] if kept[0] == _training(KEYS[0]) else ["the one that waited is not there any more"]

    def state(self, folder: Path) -> Any:
        """What waits, in its order. What a kill left half written goes with the next addition, an hour later."""
        outbox = Outbox.of(folder)
        return [outbox.read(entry).key for entry in outbox.entries()]


def _training(key: str) -> TrainingRecord:
    unit = UnitRecord("a", {"depth": "3"}, [StepRecord(1, {"loss": 0.5}, 1.0)], [], {"a": "model"}, [1, 2, 3])  # type: ignore[arg-type]
    return TrainingRecord("x", key, {"threads": "1"}, [unit])
