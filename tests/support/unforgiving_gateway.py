"""The stack's gateway without its guard: it tries each request once, and waits for whoever it has chosen."""

import yaml

from koboshi.gateways.envoy import ENVOY
from koboshi.gateways.gateway import Front


def render_without_retries(front: Front) -> str:
    """The configuration as it is rendered, without retries and hedging."""
    configuration = yaml.safe_load(ENVOY.render(front))
    (listener,) = configuration["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
        del route["route"]["retry_policy"], route["route"]["hedge_policy"]
    return str(yaml.safe_dump(configuration, sort_keys=False))
