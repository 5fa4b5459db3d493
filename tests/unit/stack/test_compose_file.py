"""docker-compose.yml is the table of parts."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from koboshi.environment import NOT_SETTINGS, read_environment
from koboshi.proxies import NAMES
from koboshi.settings import Known, with_parts
from koboshi.stack.compose_file import ENDED_WELL, FILE, HEALTHY, render
from koboshi.stack.part import Part
from koboshi.stack.parts import parts_of, secrets, usual_groups, variables
from koboshi.stack.parts.prober import NAME as PROBER
from koboshi.stack.paths import StackPaths
from koboshi.stack.topology import Ports, Topology, container_topology, ensure_secrets, own_executables

REPOSITORY = Path(__file__).parents[3]
COMMITTED = yaml.safe_load((REPOSITORY / FILE).read_text())
SERVICES: dict[str, dict[str, Any]] = COMMITTED["services"]
PARTS = parts_of(container_topology(), usual_groups())
LASTING = {name: service for name, service in SERVICES.items() if "restart" in service}


@pytest.fixture
def local(tmp_path: Path) -> dict[str, Part]:
    """The table of `koboshi up`, without the prober: a container has a health check of its own."""
    paths = StackPaths(tmp_path, tmp_path / ".koboshi", Path("/tmp/k/x"))
    table = parts_of(Topology(paths, Ports(24_000), ensure_secrets(paths), own_executables()), usual_groups())
    return {name: part for name, part in table.items() if name != PROBER}


def test_the_committed_file_is_what_the_table_says() -> None:
    """Whoever changes the table runs `koboshi compose render`, whoever changes the file is told here where to do it."""
    assert (REPOSITORY / FILE).read_text() == render(container_topology())


def test_every_variable_of_ours_in_it_is_a_setting_or_one_that_is_known_to_be_none() -> None:
    """Settings refuse a variable that nothing reads: a container would not start with it."""
    for service in SERVICES.values():
        _, unknown = read_environment(service.get("environment", {}), with_parts(Known), variables())
        assert unknown == []
    asked = set(re.findall(r"KOBOSHI_[A-Z_]+", (REPOSITORY / FILE).read_text()))
    assert {name for name in asked if "__" not in name} <= {
        *NOT_SETTINGS,
        *variables(),
        "KOBOSHI_STATE_DIR",
    }


def test_each_part_of_koboshi_up_is_a_service_with_the_same_command(local: dict[str, Part]) -> None:
    """Flags and program; only addresses, folders and what has to do with 127.0.0.1 may differ."""
    assert set(LASTING) == {*local, "postgres"}
    assert PROBER not in SERVICES
    for name, part in local.items():
        there, here = flags(SERVICES[name]["command"]), flags(part.argv)
        assert here ^ there <= {"--node-ip-address", "--allowed-hosts"}, name
        assert Path(SERVICES[name]["command"][0]).name == Path(part.argv[0]).name.rstrip("0123456789.")


def test_each_service_has_the_variables_of_its_part(local: dict[str, Part]) -> None:
    """The same names; the same values, but for addresses, folders, secrets and the database."""
    apart = ("AIRFLOW__DATABASE__", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "KOBOSHI_", *NAMES)
    for name, part in local.items():
        there, here = SERVICES[name]["environment"], part.environment
        assert {key for key in set(there) ^ set(here) if not key.startswith(apart)} == set(), name
        plain = [key for key in here if here[key] in {"True", "False", "true", "false", "token"} or here[key].isdigit()]
        assert {key: there[key] for key in plain if "PORT" not in key and not key.startswith(apart)} == {
            key: here[key] for key in plain if "PORT" not in key and not key.startswith(apart)
        }


def test_each_service_asks_the_others_directly() -> None:
    """Where Docker gives its containers a proxy, that is for addresses elsewhere; the user's exceptions stay."""
    for name, service in LASTING.items():
        for variable in NAMES:
            users, *direct = service["environment"][variable].split(",")
            assert users == f"${{{variable}:-}}", name
            assert {"127.0.0.1", "localhost", "::1", *LASTING} == set(direct), name


def flags(words: Any) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("-")}


def test_each_lasting_service_restarts_and_is_asked_for_its_own_work() -> None:
    """Health is what the part can do, not whether its process is there."""
    for name, service in LASTING.items():
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"] == ["CMD", "python", "-m", "koboshi.stack.container_health", name]
    assert set(SERVICES) - set(LASTING) == {"prepare", "postgres-init", "kafka-init", "airflow-init"}


def test_only_what_a_person_opens_is_published_and_on_this_machine_only() -> None:
    """Not Kafka, nor the database, nor the replicas behind the gateway."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"airflow-api-server", "ray-head", "mlflow", "gateway"}
    for (entry,) in published.values():
        assert entry.startswith("127.0.0.1:")


def test_no_secret_is_in_the_file() -> None:
    """Each is a variable, and Compose says how to make it where it is missing."""
    text = (REPOSITORY / FILE).read_text()
    for name in [secret.variable for secret in secrets()]:
        assert text.count(f"${{{name}:?run koboshi compose init first}}") == text.count(f"${{{name}") > 0


def test_what_a_part_waits_for_is_what_it_depends_on() -> None:
    """Healthy where the launcher waits for a port, ended well where it waits for a step."""
    assert SERVICES["ray-node-2"]["depends_on"]["ray-head"] == {"condition": HEALTHY}
    assert SERVICES["airflow-scheduler"]["depends_on"]["airflow-init"] == {"condition": ENDED_WELL}
    assert SERVICES["mlflow"]["depends_on"]["postgres"] == {"condition": HEALTHY}
    for name, part in PARTS.items():
        ended = [need for need, how in SERVICES[name]["depends_on"].items() if how["condition"] == ENDED_WELL]
        assert len(ended) == 1 + len(part.steps) + len(part.after_files), name


def test_state_is_in_volumes() -> None:
    """`docker-compose down` takes nothing away: whatever a part keeps is below a mount of a named volume."""
    assert set(COMMITTED["volumes"]) == {"project", "postgres", "kafka", "mlflow"}
    mounts = {name: [volume.partition(":")[2] for volume in s["volumes"]] for name, s in SERVICES.items()}
    for name, part in PARTS.items():
        kept = [word for word in (*part.argv, str(part.folder)) if word.startswith("/project")]
        assert kept, name
        assert all(any(path.startswith(mount) for mount in mounts[name]) for path in kept), name
