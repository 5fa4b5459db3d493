"""Scores that were measured once: a model that has not changed, on rows that have not changed, needs no second look.

A cache in the state folder, one file for each measure; losing it costs time and nothing else.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from koboshi.files import publish_bytes

FORMAT = 1


class Scores:
    """The scores of models by one measure: the rows, the metric and the code that computes it."""

    def __init__(self, state_dir: Path, measure: Mapping[str, Any]) -> None:
        """`measure` is everything that a score depends on beside the model, as JSON values."""
        name = hashlib.sha256(json.dumps(dict(measure), sort_keys=True).encode()).hexdigest()[:32]
        self._file = state_dir / "cache" / "scores" / f"{name}.json"

    def of(self, sha256: str, measured: Callable[[], float]) -> float:
        """The score of the model with this digest, measured if it is not known; what `measured` raises passes.

        Key: the model's digest. Commit: the file's rename. Of two who write at once one loses its entry, and measures
        that model again.
        """
        known = self._known()
        if sha256 in known:
            return known[sha256]
        return self.keep(sha256, measured())

    def keep(self, sha256: str, score: float) -> float:
        """Write a score down, and return it."""
        content = {"format": FORMAT, "scores": {**self._known(), sha256: score}}
        publish_bytes(self._file, json.dumps(content).encode())
        return score

    def _known(self) -> dict[str, float]:
        """What was measured; a file that cannot be read, or is of another format, is as good as none."""
        try:
            content = json.loads(self._file.read_text())
            known = content["scores"] if content["format"] == FORMAT else {}
            return {str(sha256): float(score) for sha256, score in known.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}
