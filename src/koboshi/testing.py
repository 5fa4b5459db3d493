"""For a project's tests and the negative controls of its drills.

`contract_of` and `assert_exact` check that a unit resumes to the bit; `unforgiving_gateway` is a gateway without its
guard, for a drill that must be refuted then.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml

from koboshi.drills.serving.load_environment import Gateway, own_gateway
from koboshi.gateways.envoy import ENVOY
from koboshi.gateways.gateway import Front
from koboshi.settings import Settings
from koboshi.training.testing import assert_exact, contract_of

__all__ = ["assert_exact", "contract_of", "unforgiving_gateway"]


def unforgiving_gateway(settings: Settings, folder: Path, replicas: Mapping[str, int]) -> Gateway:
    """A gateway of the drill's own that tries each request once, and waits for the replica that it has chosen."""
    return own_gateway(settings, folder, replicas, render_without_retries)


def render_without_retries(front: Front) -> str:
    """The configuration of the stack's gateway, without retries and hedging."""
    configuration = yaml.safe_load(ENVOY.render(front))
    (listener,) = configuration["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
        del route["route"]["retry_policy"], route["route"]["hedge_policy"]
    return str(yaml.safe_dump(configuration, sort_keys=False))
