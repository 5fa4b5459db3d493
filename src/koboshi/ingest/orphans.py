"""Orphans: files that a killed or fenced lander left, and that no row names."""

import time
from pathlib import Path

from koboshi.files import naming_disk_failures
from koboshi.ledger import Ledger, spans

GRACE_S = 3_600.0


def sweep(ledger: Ledger, state_dir: Path, folder: Path, topic: str, grace_s: float = GRACE_S) -> list[Path]:
    """Remove files of a partition's folder that no row names and nobody has touched for `grace_s`.

    Call it under the partition's lease. A slower lander may still be writing its file: it is fenced, so the file can
    never count, and the grace time only spares it an error.
    """
    named = {state_dir / span.path for span in spans.committed(ledger, topic)}
    before = time.time() - grace_s
    orphans = [path for path in sorted((state_dir / folder).glob("*")) if path not in named]
    orphans = [path for path in orphans if path.stat().st_mtime < before]
    with naming_disk_failures(state_dir / folder):
        for path in orphans:
            path.unlink(missing_ok=True)
    return orphans
