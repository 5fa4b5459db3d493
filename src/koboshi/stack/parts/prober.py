"""The prober: a small program of koboshi's own that asks the other parts for work, and records answers."""

import time

from koboshi.probes import Health
from koboshi.settings import Settings
from koboshi.stack import probe_records
from koboshi.stack.part import Part, StartHistory
from koboshi.stack.parts import Technology
from koboshi.stack.paths import find_paths
from koboshi.stack.topology import Topology

NAME = "prober"


def prober_part(topology: Topology) -> Part:
    """One process."""
    paths = topology.paths
    return Part(
        name=NAME,
        group=NAME,
        argv=(topology.executables.python, "-m", "koboshi.stack.prober"),
        environment={},
        folder=paths.state_dir,
        log=paths.logs / f"{NAME}.log",
    )


def probe_prober(settings: Settings, _part: Part) -> Health:
    """Whether its newest record is fresh, or it has only just begun."""
    own, now = find_paths(settings.project, settings.state_dir).own, time.time()
    answers = [record.ended_at for record in probe_records.read(own).values()]
    starts = StartHistory.of(own, NAME).starts()
    newest, begun = max(answers, default=0.0), starts[-1].at if starts else 0.0
    if now - max(newest, begun) > probe_records.STALE_S:
        return Health(False, f"no probe for {probe_records.ago(newest, now)}" if newest else "has not probed anything")
    return Health(True, f"{len(answers)} parts probed")


TECHNOLOGY = Technology(
    group=NAME,
    parts=lambda topology, _groups: (prober_part(topology),),
    by_topology=lambda topology: not topology.ports.by_name,  # containers have health checks
    probe_of=probe_prober,
)
