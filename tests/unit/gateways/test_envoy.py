import pytest
import yaml

from koboshi.errors import Unavailable
from koboshi.gateways import envoy
from koboshi.gateways.envoy import ENVOY
from koboshi.gateways.gateway import Front, ReplicaSeen

FRONT = Front(8000, 8001, {"replica-1": 8002, "replica-2": 8003})
CONFIG = yaml.safe_load(ENVOY.render(FRONT))
CLUSTER = CONFIG["static_resources"]["clusters"][0]
LISTENER = CONFIG["static_resources"]["listeners"][0]
MANAGER = LISTENER["filter_chains"][0]["filters"][0]["typed_config"]
ROUTE = MANAGER["route_config"]["virtual_hosts"][0]["routes"][0]["route"]


def _addresses(node):
    if isinstance(node, dict):
        found = [node["socket_address"]] if "socket_address" in node else []
        return found + [address for value in node.values() for address in _addresses(value)]
    return [address for item in node for address in _addresses(item)] if isinstance(node, list) else []


def test_everything_listens_on_this_machine_only():
    """Listener, admin interface and replicas: 127.0.0.1, on the ports that were given."""
    addresses = _addresses(CONFIG)
    assert {address["address"] for address in addresses} == {"127.0.0.1"}
    assert sorted(address["port_value"] for address in addresses) == [8000, 8001, 8002, 8003]


def test_no_default_of_envoy_that_loses_predictions_is_left():
    """I7: another replica, enough retries for all at once, no dead host while one is alive, ejection of any number."""
    retries = ROUTE["retry_policy"]
    assert {"connect-failure", "reset", "5xx"} <= set(retries["retry_on"].split(","))
    assert retries["retry_host_predicate"][0]["name"] == "envoy.retry_host_predicates.previous_hosts"
    assert ROUTE["hedge_policy"]["hedge_on_per_try_timeout"] is True
    assert 0 < CLUSTER["common_lb_config"]["healthy_panic_threshold"]["value"] < 100 / 10
    assert CLUSTER["circuit_breakers"]["thresholds"][0]["retry_budget"]["budget_percent"]["value"] == 100
    assert CLUSTER["outlier_detection"]["max_ejection_percent"] == 100
    assert CLUSTER["health_checks"][0]["no_traffic_interval"] == "1s"


def test_when_nobody_is_left_the_answer_says_so():
    """A body in the replicas' own shape of an error, also when all were tried and none could be reached."""
    replies = MANAGER["local_reply_config"]
    assert replies["mappers"][0]["filter"]["response_flag_filter"]["flags"] == ["UH", "UF"]
    assert "no replica can answer" in replies["mappers"][0]["body"]["inline_string"]
    assert set(replies["body_format"]["json_format"]) == {"error_code", "message"}


TOLD = {
    "cluster_statuses": [
        {"name": "empty"},
        {
            "name": "replicas",
            "host_statuses": [
                {
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 7}},
                    "stats": [
                        {"name": "rq_error", "value": "3"},
                        {"name": "rq_timeout"},
                        {"name": "rq_total", "value": "9"},
                    ],
                    "health_status": {"eds_health_status": "HEALTHY", "failed_active_health_check": True},
                },
                {
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 8}},
                    "stats": [],
                    "health_status": {"eds_health_status": "HEALTHY"},
                },
            ],
        },
    ]
}


def test_hosts_are_told_by_port(monkeypatch):
    """Failed tries are added up, and a replica that fails any kind of check is not healthy."""
    monkeypatch.setattr(envoy, "call", lambda _url: TOLD)
    assert ENVOY.observe("http://admin") == {7: ReplicaSeen(False, 3), 8: ReplicaSeen(True, 0)}


def test_what_is_no_envoy_is_not_observed(monkeypatch):
    """Something else may listen on the port of its administration."""
    monkeypatch.setattr(envoy, "call", lambda _url: {"clusters": []})
    with pytest.raises(Unavailable, match="other JSON"):
        ENVOY.observe("http://admin")


def test_a_configuration_is_published_whole_and_counts_from_the_next_start(tmp_path):
    assert ENVOY.reload(tmp_path / "envoy.yaml", FRONT) is False
    assert (tmp_path / "envoy.yaml").read_text() == ENVOY.render(FRONT)
