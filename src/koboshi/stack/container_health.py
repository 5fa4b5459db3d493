"""`python -m koboshi.stack.container_health PART`: a container's health check, the real work of `koboshi status`.

Docker asks every few seconds, so that a start is seen soon. What has done real work is left in peace for a while: its
last success counts for as long as the part's description says, which is found in the mark: so it is not imported each
time. The mark is in memory, which does not outlive the container's start.
"""

import sys
import time
from pathlib import Path

MARK = Path("/dev/shm/koboshi-healthy")  # noqa: S108 (a container's own)


def main() -> None:
    """Exit 0 when the part has just done its work, or did so a moment ago; else 1, and why."""
    name = sys.argv[1]
    if MARK.exists() and is_fresh(MARK, float(MARK.read_text()), time.time()):
        return
    ok, detail, fresh_s = ask(name)
    sys.stdout.write(f"{detail}\n")
    if not ok:
        sys.exit(1)
    MARK.write_text(str(fresh_s))


def is_fresh(mark: Path, fresh_s: float, now: float) -> bool:
    """Whether the last success is recent enough."""
    return mark.exists() and now - mark.stat().st_mtime < fresh_s


def ask(name: str) -> tuple[bool, str, float]:
    """Let the part do some work: whether it did, which (or why not), and for how many seconds that counts."""
    from koboshi.settings import Settings, with_parts
    from koboshi.stack.part_state import part_probe
    from koboshi.stack.parts import endpoints, groups, parts_of, technologies
    from koboshi.stack.topology import container_topology

    topology = container_topology()
    settings = with_parts(Settings).model_validate({"project": topology.paths.project, **endpoints(topology, groups())})
    part = parts_of(topology, groups())[name]
    health = part_probe(settings, part)()
    return health.ok, health.detail, technologies()[part.group].container.fresh_s(name)


if __name__ == "__main__":
    main()
