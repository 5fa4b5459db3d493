"""The health of every part by real work: which probe asks which address, all at once, each with its own limit."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from koboshi.probes import Health
from koboshi.settings import Settings
from koboshi.stack.launch import accepts
from koboshi.stack.part import Part
from koboshi.stack.parts import technologies

Probe = Callable[[], Health]
PAUSE_S = 0.7


def probe_name(part: Part) -> str:
    """The programs of a group are asked together, unless each answers for itself, as the replicas do."""
    return part.group if technologies()[part.group].probe else part.name


def probes(settings: Settings, parts: Iterable[Part], external: frozenset[str]) -> dict[str, Probe]:
    """One probe for each started group, or part of it, and for each group that runs elsewhere and can be asked.

    Before it does work, it looks whether all its ports accept: work is not worth its cost before.
    """
    found: dict[str, Probe] = {}
    started = list(parts)
    for technology in technologies().values():
        own = tuple(part for part in started if part.group == technology.group)
        if technology.probe is None:
            found |= {part.name: _when_open((part,), part_probe(settings, part)) for part in own}
        elif own or technology.group in external:
            here = () if technology.group in external else own
            found[technology.group] = _when_open(own, partial(technology.probe, settings, here))
    return found


def part_probe(settings: Settings, part: Part) -> Probe:
    """The probe of one part for itself, for who watches over nothing else: a container's health check."""
    technology = technologies()[part.group]
    if technology.probe_of is not None:
        return partial(technology.probe_of, settings, part)
    if technology.probe is not None:
        return partial(technology.probe, settings, (part,))
    raise LookupError(f"{part.group} is described without a probe")


def _when_open(parts: Iterable[Part], probe: Probe) -> Probe:
    ports = [port for part in parts for port in part.ports]

    def probed() -> Health:
        closed = next((port for port in ports if not accepts(port)), None)
        return probe() if closed is None else Health(False, f"port {closed} is not open yet")

    return probed


class Checks:
    """Probes that run beside each other until each has answered well; `healths` has the latest answers."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        """Nothing runs until `step`."""
        self.healths: dict[str, Health] = {}
        self._probes = dict(probes)
        self._pool = ThreadPoolExecutor(max(1, len(probes)), thread_name_prefix="probe")
        self._running: dict[str, Future[Health]] = {}

    def step(self) -> None:
        """Take up answers, and ask those that are not healthy yet once more."""
        for name, future in list(self._running.items()):
            if future.done():
                self.healths[name] = future.result()
                del self._running[name]
        for name in self._probes:
            if name not in self._running and not self._is_well(name):
                self._running[name] = self._pool.submit(self._ask, name)

    def all_well(self) -> bool:
        """Whether every probe has answered well."""
        return all(self._is_well(name) for name in self._probes)

    def close(self) -> None:
        """Ask nobody any more; a probe under way ends by its own limit."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _is_well(self, name: str) -> bool:
        return name in self.healths and self.healths[name].ok

    def _ask(self, name: str) -> Health:
        if name in self.healths:
            time.sleep(PAUSE_S)
        return self._probes[name]()


def check_once(probes: Mapping[str, Probe]) -> dict[str, Health]:
    """Every probe's answer, asked once and all at once."""
    with ThreadPoolExecutor(max(1, len(probes))) as pool:
        return dict(zip(probes, pool.map(lambda probe: probe(), probes.values()), strict=True))
