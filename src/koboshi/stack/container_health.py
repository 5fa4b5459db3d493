"""`python -m koboshi.stack.container_health PART`: a container's health check, the real work of `koboshi status`.

Docker asks every few seconds, so that a start is seen soon. What has done real work is left in peace for a while: its
last success counts until it is `fresh_s` old. The mark is in memory, which does not outlive the container's start.
"""

import sys
import time
from pathlib import Path

MARK = Path("/dev/shm/koboshi-healthy")  # noqa: S108 (a container's own)
FRESH_S = 45.0
FRESH_RAY_NODE_S = 240.0  # a driver of its own and a task cost seconds of CPU; the head watches its nodes by the second


def main() -> None:
    """Exit 0 when the part has just done its work, or did so a moment ago; else 1, and why."""
    name = sys.argv[1]
    if is_fresh(MARK, fresh_s(name), time.time()):
        return
    ok, detail = ask(name)
    sys.stdout.write(f"{detail}\n")
    if not ok:
        sys.exit(1)
    MARK.touch()


def fresh_s(name: str) -> float:
    """How long a part's success counts."""
    return FRESH_RAY_NODE_S if name.startswith("ray-node") else FRESH_S


def is_fresh(mark: Path, fresh_s: float, now: float) -> bool:
    """Whether the last success is recent enough."""
    return mark.exists() and now - mark.stat().st_mtime < fresh_s


def ask(name: str) -> tuple[bool, str]:
    """Let the part do some work."""
    from koboshi.settings import Settings
    from koboshi.stack.compose_site import container_site
    from koboshi.stack.health import part_probe
    from koboshi.stack.parts_table import GROUPS, endpoints, parts_of

    site = container_site()
    settings = Settings.model_validate({"project": site.places.project, **endpoints(site, GROUPS)})
    health = part_probe(settings, parts_of(site, GROUPS)[name])()
    return health.ok, health.detail


if __name__ == "__main__":
    main()
