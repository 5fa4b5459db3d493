"""network-cut-serving: the network between the gateway and one replica falls silent, and heals."""

from functools import partial

from koboshi.drills.drill import Drill, Injection
from koboshi.drills.serving import load_environment
from koboshi.drills.serving.load_environment import own_gateway
from koboshi.drills.serving.replica_environment import ServingEnvironment, share_is_back, victim_fell_silent

SWALLOWED_WITHIN_S = 10.0


def cut_the_network(environment: ServingEnvironment) -> list[Injection]:
    """A black hole, not a reset: bytes go in and none come out, until the others have answered for a while."""
    environment.heals_by(environment.proxy.heal)
    return [environment.proxy.inject(f"the way to {environment.victim}", SWALLOWED_WITHIN_S)]


DRILL: Drill[ServingEnvironment] = Drill(
    name="network-cut-serving",
    claim="While the network to a replica is silent under load every prediction is answered, in a bounded time, and "
    "right; when it heals the replica takes its share again.",
    fault="a silent network between the gateway and one replica",
    layer="serving",
    environment=partial(ServingEnvironment, gateway=own_gateway, through_proxy=True),
    steady=(load_environment.champion_is_served, load_environment.gateway_has_all_replicas),
    inject=cut_the_network,
    within_s=240,
    verdict=(victim_fell_silent, load_environment.all_answered, load_environment.all_right, share_is_back),
)
