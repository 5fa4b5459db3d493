"""replica-killed: SIGKILL of a replica under a steady load of predictions."""

from koboshi.drills.drill import Drill, Injection
from koboshi.drills.kit.faults import kill_part
from koboshi.drills.serving import load_environment
from koboshi.drills.serving.replica_environment import ServingEnvironment, share_is_back, victim_fell_silent


def kill_a_replica(environment: ServingEnvironment) -> list[Injection | None]:
    """SIGKILL to all processes of one replica, in the middle of the load."""
    return [kill_part(environment.settings, environment.victim)]


DRILL: Drill[ServingEnvironment] = Drill(
    name="replica-killed",
    claim="While a replica is killed under load every prediction is answered, and right; it comes back and takes its "
    "share again.",
    fault="SIGKILL of a replica under a steady load",
    layer="serving",
    environment=ServingEnvironment,
    steady=(load_environment.champion_is_served, load_environment.gateway_has_all_replicas),
    inject=kill_a_replica,
    within_s=240,
    verdict=(victim_fell_silent, load_environment.all_answered, load_environment.all_right, share_is_back),
)
