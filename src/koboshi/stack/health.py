"""The health of every part by real work: which probe asks which address, all at once, each with its own limit."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from koboshi.probes import Health
from koboshi.settings import Settings
from koboshi.stack.launch import accepts
from koboshi.stack.part import Part
from koboshi.stack.ray_parts import NODES
from koboshi.stack.replica_parts import SLOT
from koboshi.stack.site import DATABASE_USER

Probe = Callable[[], Health]
PAUSE_S = 0.7


def probe_name(part: Part) -> str:
    """Replicas are asked one by one, the programs of another group together."""
    return part.name if part.group == "replicas" else part.group


def probes(settings: Settings, parts: Iterable[Part], external: frozenset[str]) -> dict[str, Probe]:
    """One probe for each started group or replica, and for each group that runs elsewhere."""
    shown = {part.group for part in parts} | external
    found = {
        name: probe
        for name, probe in _group_probes(settings, len(NODES) if "ray" not in external else 1).items()
        if name in shown
    }
    return {**found, **{part.name: _replica_probe(part) for part in parts if part.group == "replicas"}}


def _group_probes(settings: Settings, ray_nodes: int) -> dict[str, Probe]:
    from koboshi.probes.airflow_probe import probe_airflow
    from koboshi.probes.kafka_probe import probe_kafka
    from koboshi.probes.mlflow_probe import probe_mlflow
    from koboshi.probes.ray_probe import probe_ray

    return {
        "kafka": lambda: probe_kafka(str(settings.kafka.bootstrap_servers)),
        "ray": lambda: probe_ray(str(settings.ray.address), settings.ray.token_path, ray_nodes),
        "airflow": lambda: probe_airflow(str(settings.airflow.base_url)),
        "mlflow": lambda: probe_mlflow(str(settings.mlflow.tracking_uri)),
        "gateway": lambda: _gateway_health(settings),
    }


def _gateway_health(settings: Settings) -> Health:
    from koboshi.probes.gateway_probe import probe_gateway
    from koboshi.probes.mlflow_probe import aliased_version, example_of

    uri, model = settings.mlflow.tracking_uri, settings.serving.model
    return probe_gateway(
        str(settings.gateway.url),
        lambda served, version: example_of(uri, served, version) if uri else None,
        lambda: uri is not None and aliased_version(uri, model, SLOT) is not None,
    )


def part_probe(settings: Settings, part: Part) -> Probe:
    """The probe of one part for itself, for who watches over nothing else: a container's health check."""
    from koboshi.probes.airflow_probe import probe_airflow
    from koboshi.probes.postgres_probe import probe_postgres
    from koboshi.probes.ray_probe import probe_ray, probe_ray_head

    ray, token = settings.ray, settings.ray.token_path
    if part.group == "replicas":
        return _replica_probe(part)
    if part.group == "postgres":
        return lambda: probe_postgres(part.address, DATABASE_USER, "airflow")
    if part.group == "airflow":
        beating = tuple({part.name.removeprefix("airflow-").replace("-", "_")} - {"api_server"})
        return lambda: probe_airflow(str(settings.airflow.base_url), beating)
    if part.group == "ray" and part.name in NODES:
        return lambda: probe_ray(str(ray.address), token, 1, only=part.name)
    if part.group == "ray":
        return lambda: probe_ray_head(str(ray.jobs_url), token)
    return _group_probes(settings, len(NODES))[part.group]


def _replica_probe(part: Part) -> Probe:
    from koboshi.probes.gateway_probe import probe_replica

    return lambda: probe_replica(part.address)


def waiting_ports(parts: Iterable[Part]) -> dict[str, tuple[int, ...]]:
    """The ports that must accept before a probe is worth its cost."""
    ports: dict[str, tuple[int, ...]] = {}
    for part in parts:
        ports[probe_name(part)] = ports.get(probe_name(part), ()) + part.ports
    return ports


class Checks:
    """Probes that run beside each other until each has answered well; `healths` has the latest answers."""

    def __init__(self, probes: Mapping[str, Probe], ports: Mapping[str, tuple[int, ...]]) -> None:
        """Nothing runs until `step`."""
        self.healths: dict[str, Health] = {}
        self._probes, self._ports = dict(probes), ports
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
        closed = [port for port in self._ports.get(name, ()) if not accepts(port)]
        if closed:
            return Health(False, f"port {closed[0]} is not open yet")
        return self._probes[name]()


def check_once(probes: Mapping[str, Probe], ports: Mapping[str, tuple[int, ...]]) -> dict[str, Health]:
    """Every probe's answer, asked once and all at once."""

    def ask(name: str) -> Health:
        closed = [port for port in ports.get(name, ()) if not accepts(port)]
        return Health(False, f"port {closed[0]} is not open") if closed else probes[name]()

    with ThreadPoolExecutor(max(1, len(probes))) as pool:
        return dict(zip(probes, pool.map(ask, probes), strict=True))
