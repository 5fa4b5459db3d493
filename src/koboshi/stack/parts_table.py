"""The table of parts: from the site to every program of the stack. The single source, also of docker-compose.yml."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from koboshi.errors import BadInput
from koboshi.settings import Settings
from koboshi.stack import airflow_parts, gateway_part, kafka_part, mlflow_part, postgres_part, ray_parts, replica_parts
from koboshi.stack.part import Part
from koboshi.stack.secrets import ADMIN
from koboshi.stack.site import Site

GROUPS = ("kafka", "ray", "airflow", "mlflow", "replicas", "gateway")


def external_groups(settings: Settings) -> frozenset[str]:
    """The groups whose address is set in koboshi.toml or the environment."""
    addresses = {
        "kafka": settings.kafka.bootstrap_servers,
        "ray": settings.ray.address or settings.ray.jobs_url,
        "airflow": settings.airflow.base_url,
        "mlflow": settings.mlflow.tracking_uri,
        "gateway": settings.gateway.url,
        "replicas": settings.gateway.url,
    }
    return frozenset(group for group, address in addresses.items() if address)


def chosen_groups(names: Iterable[str], settings: Settings) -> tuple[str, ...]:
    """The groups to start: those named, or all, without those that run elsewhere."""
    wanted = tuple(names)
    unknown = sorted(set(wanted) - set(GROUPS))
    if unknown:
        raise BadInput(f"there is no part {', '.join(unknown)}: choose from {', '.join(GROUPS)}.")
    external = external_groups(settings)
    return tuple(group for group in GROUPS if (not wanted or group in wanted) and group not in external)


def parts_of(site: Site, groups: Iterable[str]) -> dict[str, Part]:
    """The programs of some groups, by name, in the order in which they are shown. Pure.

    A site with a database server has that first, as a part of its own.
    """
    chosen = frozenset(groups)
    after_mlflow = (site.ports.at(mlflow_part.SERVER),) if "mlflow" in chosen else ()
    makers: Mapping[str, Callable[[], tuple[Part, ...]]] = {
        "kafka": lambda: (kafka_part.kafka_part(site),),
        "ray": lambda: ray_parts.ray_parts(site),
        "airflow": lambda: airflow_parts.airflow_parts(site),
        "mlflow": lambda: (mlflow_part.mlflow_part(site),),
        "replicas": lambda: replica_parts.replica_parts(site, after_mlflow),
        "gateway": lambda: (gateway_part.gateway_part(site),),
    }
    database = (postgres_part.postgres_part(site),) if site.postgres_password else ()
    made = (*database, *(part for group in GROUPS if group in chosen for part in makers[group]()))
    return {part.name: _with_own_environment(site, part) for part in made}


def _with_own_environment(site: Site, part: Part) -> Part:
    own = {"KOBOSHI_PROJECT": str(site.places.project), "KOBOSHI_STATE_DIR": str(site.places.state_dir)}
    return dataclasses.replace(part, environment={**part.environment, **own})


def endpoints(site: Site, groups: Iterable[str]) -> dict[str, Any]:
    """The addresses of the started groups, in the shape of `koboshi.settings`."""
    ports, secrets = site.ports, site.secrets
    sections = {
        "kafka": {"bootstrap_servers": kafka_part.bootstrap_servers(ports)},
        "ray": {
            "address": ray_parts.gcs_address(ports),
            "jobs_url": ray_parts.jobs_url(ports),
            "token_path": str(secrets.ray_token_path),
        },
        "airflow": {
            "base_url": airflow_parts.base_url(ports),
            "username": ADMIN,
            "passwords_path": str(secrets.airflow_passwords_path),
        },
        "mlflow": {"tracking_uri": mlflow_part.tracking_uri(ports)},
        "gateway": {"url": gateway_part.gateway_url(ports)},
    }
    return {group: section for group, section in sections.items() if group in frozenset(groups)}


def write_files(site: Site, groups: Iterable[str]) -> None:
    """The files and folders that the programs of some groups read when they start."""
    chosen = frozenset(groups)
    for folder in ("airflow", "mlflow", "kafka", "cache"):
        (site.places.state_dir / folder).mkdir(parents=True, exist_ok=True)
    if "kafka" in chosen:
        kafka_part.write_kafka_files(site)
    if "ray" in chosen and not site.ports.by_name:
        ray_parts.link_ray_folder(site.places)
    if "gateway" in chosen:
        gateway_part.write_gateway_files(site)
