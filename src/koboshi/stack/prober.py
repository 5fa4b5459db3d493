"""`python -m koboshi.stack.prober`: asks the parts of this machine's stack to do real work, and records the answers.

So `koboshi status` shows at once what a probe has found a moment ago. It is a good neighbour: it gives way to all else,
asks for one small thing at a time from each part, and for work of Ray's, which costs seconds, only now and then.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from koboshi.environment import PROJECT
from koboshi.probes import Health
from koboshi.settings import Settings, load_what_fits
from koboshi.stack import probe_records
from koboshi.stack.part import Part, read_table
from koboshi.stack.part_state import Probe, newest_starts, probes
from koboshi.stack.parts import technologies
from koboshi.stack.paths import StackPaths, find_paths
from koboshi.stack.probe_records import ProbeRecord, Question

TICK_S = 2.0
AT_ONCE = 4
GIVES_WAY = 19


class Prober:
    """The parts that are started, and the probes that are under way."""

    def __init__(self, paths: StackPaths, pool: ThreadPoolExecutor) -> None:
        self._paths, self._pool = paths, pool
        self._under_way: dict[str, Future[None]] = {}

    def tick(self, now: float) -> None:
        """Begin the probes that are due; a slow one does not hold the others up."""
        parts, records = read_table(self._paths.own), probe_records.read(self._paths.own)
        wanted = due(records, newest_starts(self._paths.own, parts.values()), now)
        asking = {name for name, asked in self._under_way.items() if not asked.done()}
        if not wanted.keys() - asking:
            return
        settings = self._settings()
        for name in wanted.keys() - asking:
            ask = partial(self._ask, settings, parts, name, wanted[name], records.get(name))
            self._under_way[name] = self._pool.submit(ask)

    def _ask(
        self, settings: Settings, parts: Mapping[str, Part], name: str, wanted: Question, before: ProbeRecord | None
    ) -> None:
        """A look comes before work: there is no use in work for what does not even answer."""
        kind: Question = "look" if can_look(name) else "work"
        first = foreseen(probes(settings, parts.values(), frozenset(), lightly=True)[name])
        record = probe_records.answer(first, before, kind)
        if record.ok and (kind, wanted) == ("look", "work"):
            record = probe_records.answer(foreseen(probes(settings, parts.values(), frozenset())[name]), record)
        probe_records.write(self._paths.own, {name: record})

    def _settings(self) -> Settings:
        return load_what_fits(lambda _: None, lambda _: self._paths.state_dir, project=self._paths.project)


def foreseen(probe: Probe) -> Probe:
    """The probe, with an answer also where it raises what it did not foresee: the next one is asked all the same."""

    def probed() -> Health:
        try:
            return probe()
        except Exception as error:  # noqa: BLE001 (whatever a part answers)
            return Health(False, f"the probe failed ({type(error).__name__}: {error})"[:200])

    return probed


def can_look(name: str) -> bool:
    """Whether what is probed under this name can be looked at more cheaply than by work."""
    return name in technologies() and technologies()[name].look is not None


def due(records: Mapping[str, ProbeRecord], starts: Mapping[str, float], now: float) -> dict[str, Question]:
    """What to ask now, by the names of the probes; `starts` has the newest start of each. Pure."""
    asking = {
        name: probe_records.question(records.get(name), started_at, now, can_look=can_look(name))
        for name, started_at in starts.items()
    }
    return {name: one for name, one in asking.items() if one is not None}


def main() -> None:
    """Go on until the supervisor ends this process."""
    os.nice(GIVES_WAY)
    project, state_dir = Path(os.environ[PROJECT]), Path(os.environ["KOBOSHI_STATE_DIR"])
    paths = find_paths(project, state_dir)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe") as pool:
        prober = Prober(paths, pool)
        while True:
            with contextlib.suppress(OSError):  # a disk that is full takes no record, which `koboshi status` shows
                prober.tick(time.time())
            time.sleep(TICK_S)


if __name__ == "__main__":
    main()
