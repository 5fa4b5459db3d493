"""Airflow's health: fresh heartbeats of its programs, and an execution API that answers, so that tasks can begin."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from koboshi.errors import Unavailable
from koboshi.probes import Health
from koboshi.probes.http_json import call, reading

PROGRAMS = {
    "scheduler": "latest_scheduler_heartbeat",
    "dag_processor": "latest_dag_processor_heartbeat",
    "triggerer": "latest_triggerer_heartbeat",
}
FRESH_S = 30.0


def probe_airflow(base_url: str, programs: Iterable[str] = tuple(PROGRAMS), limit_s: float = 20.0) -> Health:
    """Ask for the heartbeats of some programs, then for the execution API, whose first answer takes seconds."""
    try:
        state = call(f"{base_url}/api/v2/monitor/health", limit_s=limit_s)
        with reading(base_url):
            stale = stale_programs(state, datetime.datetime.now(datetime.UTC), programs)
        if stale:
            return Health(False, f"no fresh heartbeat of {', '.join(stale)}")
        call(f"{base_url}/execution/health", limit_s=limit_s)
    except Unavailable as error:
        return Health(False, str(error)[:200])
    return Health(True, "fresh heartbeats, and tasks can begin")


def stale_programs(
    state: Mapping[str, Any], now: datetime.datetime, programs: Iterable[str] = tuple(PROGRAMS)
) -> list[str]:
    """The programs without a heartbeat in the last `FRESH_S` seconds, from the answer of the health endpoint."""
    beats = {program: state.get(program, {}).get(PROGRAMS[program]) for program in programs}
    oldest = now - datetime.timedelta(seconds=FRESH_S)
    return [p for p, beat in beats.items() if beat is None or datetime.datetime.fromisoformat(beat) < oldest]
