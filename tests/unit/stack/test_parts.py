"""The table of parts follows from settings, ports and folders alone."""

import json
import stat
from pathlib import Path

import pytest

from koboshi.errors import BadInput
from koboshi.settings import Settings, load_settings
from koboshi.stack.part import TABLE, read_table, write_table
from koboshi.stack.parts import chosen_groups, endpoints, external_groups, groups, parts_of, technologies, usual_groups
from koboshi.stack.parts.kafka import broker_properties, cluster_id, detour
from koboshi.stack.parts.ray import TOKEN, WORKER_OFFSETS
from koboshi.stack.paths import StackPaths
from koboshi.stack.topology import USED_OFFSETS, Ports, Topology, ensure_secrets, own_executables


def settings(project: Path, text: str = "") -> Settings:
    project.mkdir(exist_ok=True)
    (project / "koboshi.toml").write_text(text)
    return load_settings(project, with_stack=False)


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    loaded = settings(tmp_path / "project")
    paths = StackPaths(tmp_path / "project", loaded.state_dir, Path("/tmp/k/x"))
    return Topology(paths, Ports(24_000), ensure_secrets(paths), own_executables())


def test_no_two_parts_have_a_port_in_common_and_all_are_of_the_block(topology: Topology) -> None:
    """Ray's workers included."""
    ports = [port for part in parts_of(topology, groups()).values() for port in part.ports]
    ports += detour(topology.ports)
    workers = [24_000 + i for low, high in WORKER_OFFSETS.values() for i in range(low, high + 1)]
    assert len(set(ports + workers)) == len(ports + workers)
    assert all(24_000 <= port < 24_000 + USED_OFFSETS for port in ports + workers)


def test_no_part_listens_beyond_this_machine(topology: Topology) -> None:
    """No address of all interfaces anywhere in commands and settings."""
    for part in parts_of(topology, groups()).values():
        assert "0.0.0.0" not in " ".join([*part.argv, *part.environment.values()])  # noqa: S104
    properties = broker_properties(Path("/d"), Ports(24_000))
    listeners = [line for line in properties.splitlines() if "listeners" in line and "://" in line]
    assert len(listeners) == 2
    assert all(
        address.partition("://")[2].startswith("127.0.0.1:")
        for line in listeners
        for address in line.partition("=")[2].split(",")
    )


def test_the_launcher_reads_the_parts_that_were_written(topology: Topology, tmp_path: Path) -> None:
    """The table goes through JSON, in a file that its owner alone may read."""
    table = parts_of(topology, groups())
    write_table(tmp_path, table)
    assert read_table(tmp_path) == table
    assert stat.S_IMODE((tmp_path / TABLE).stat().st_mode) == 0o600


def test_endpoints_are_what_settings_read(topology: Topology) -> None:
    """Whoever loads settings finds the running stack; only the started groups are in it."""
    topology.paths.state_dir.mkdir(parents=True, exist_ok=True)
    topology.paths.endpoints.write_text(json.dumps(endpoints(topology, usual_groups())))
    loaded = load_settings(topology.paths.project)
    assert loaded.kafka.bootstrap_servers == "127.0.0.1:24000"
    assert loaded.ray.token_path == topology.paths.own / TOKEN.file
    assert loaded.gateway.url == "http://127.0.0.1:24004"
    assert endpoints(topology, ["mlflow"]) == {"mlflow": {"tracking_uri": "http://127.0.0.1:24003"}}


def test_a_part_whose_address_is_set_is_not_started(tmp_path: Path) -> None:
    """It runs elsewhere; replicas make no sense behind somebody else's gateway."""
    mine = settings(tmp_path, '[kafka]\nbootstrap_servers = "b:9092"\n[gateway]\nurl = "http://g"\n')
    assert external_groups(mine) == {"kafka", "gateway", "replicas"}
    assert chosen_groups((), mine) == ("ray", "airflow", "mlflow")


def test_an_unknown_part_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    """Nothing is started."""
    with pytest.raises(BadInput, match="there is no part zookeeper: choose from kafka, ray"):
        chosen_groups(["zookeeper"], settings(tmp_path))
    assert chosen_groups(["mlflow", "kafka"], settings(tmp_path)) == ("kafka", "mlflow")


def test_secrets_are_made_once_and_readable_by_their_owner_only(topology: Topology) -> None:
    """A second `up` does not log anybody out."""
    assert ensure_secrets(topology.paths) == topology.secrets
    for name in ("ray-token", "airflow-passwords.json", "secrets.json"):
        path = topology.paths.own / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads((topology.paths.own / "airflow-passwords.json").read_text())["admin"]
    assert set(json.loads((topology.paths.own / "secrets.json").read_text())) == {"jwt", "session", "fernet"}


def test_the_cluster_id_is_kafkas_shape_and_stays(topology: Topology) -> None:
    """22 characters of base64; a half-formatted storage is formatted again with the same one."""
    assert cluster_id(topology.paths) == cluster_id(topology.paths)
    assert len(cluster_id(topology.paths)) == 22


def test_clients_of_the_brokers_second_listener_are_sent_round(topology: Topology) -> None:
    """Where a proxy can stand between: whoever is told of the broker there is told of the proxy's port."""
    start, end = detour(topology.ports)
    lines = broker_properties(topology.paths.state_dir, topology.ports).splitlines()
    values = dict(line.split("=", 1) for line in lines)
    assert f"DETOUR://127.0.0.1:{end}" in values["listeners"].split(",")
    assert f"DETOUR://127.0.0.1:{start}" in values["advertised.listeners"].split(",")
    assert values["inter.broker.listener.name"] == "PLAINTEXT"


def test_every_part_is_described_in_one_place() -> None:
    """The folder is the list: each group is after those that it needs, and has some real work to be asked for."""
    found = technologies()
    assert list(found) == ["postgres", "prober", *groups()]
    for group, technology in found.items():
        assert {*technology.after} <= set(list(found)[: list(found).index(group)])
        assert technology.probe or technology.probe_of
    assert usual_groups() == ("kafka", "ray", "airflow", "mlflow", "replicas", "gateway")


def test_a_secret_of_a_part_that_is_new_is_made_beside_those_that_are_kept(topology: Topology) -> None:
    """A state folder of an earlier version goes on, and nobody is logged out."""
    path = topology.paths.own / "secrets.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({"jwt": kept["jwt"]}))
    assert ensure_secrets(topology.paths)["jwt"] == kept["jwt"]
    assert set(json.loads(path.read_text())) == set(kept)
