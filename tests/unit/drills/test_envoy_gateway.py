"""What Envoy tells of its replicas, and what the watch makes of it."""

import pytest

from koboshi.drills.serving import envoy_gateway
from koboshi.drills.serving.envoy_gateway import Gateway, Watch

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


def test_hosts_are_told_by_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed tries are added up, and a replica that fails any kind of check is not healthy."""
    monkeypatch.setattr(envoy_gateway, "call", lambda _url: TOLD)
    hosts = Gateway("http://gateway", "http://admin").hosts()
    assert hosts == {7: {"healthy": False, "troubles": 3}, 8: {"healthy": True, "troubles": 0}}


class Silent(Gateway):
    """Its replica is not there."""

    def hosts(self) -> dict[int, dict[str, bool]]:
        return {}


def watched(*seen: tuple[float, bool, int]) -> Watch:
    watch = Watch(Silent("", ""), 7)
    watch.close()
    watch.seen = list(seen)
    return watch


def test_trouble_is_a_failed_try_or_being_out_after_the_moment() -> None:
    """Failures that were counted before are no news."""
    assert watched((1, True, 2), (2, True, 2), (3, True, 5), (4, False, 5)).first_trouble(2) == 3
    assert watched((1, True, 2), (2, True, 2), (4, False, 2)).first_trouble(2) == 4
    assert watched((1, True, 2), (2, True, 2), (3, True, 2)).first_trouble(1) is None


def test_changes_are_told_with_their_moments() -> None:
    assert watched((1, True, 0), (2, False, 0), (3, False, 0), (4, True, 0)).changes() == [(2, False), (4, True)]
