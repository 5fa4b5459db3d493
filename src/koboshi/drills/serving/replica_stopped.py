"""replica-stopped: SIGSTOP of a replica under a steady load: it holds its connections and says nothing."""

from koboshi.drills.drill import Drill, Injection
from koboshi.drills.kit.faults import processes_of, resume, stop
from koboshi.drills.serving import load_environment
from koboshi.drills.serving.replica_environment import ServingEnvironment, share_is_back, victim_fell_silent


def stop_a_replica(environment: ServingEnvironment) -> list[Injection | None]:
    """SIGSTOP to all processes of one replica; SIGCONT once the others have answered without it for a while."""
    pids = processes_of(environment.settings, environment.victim)
    environment.heals_by(lambda: resume(pids))
    return [stop(environment.victim, pids)]


DRILL: Drill[ServingEnvironment] = Drill(
    name="replica-stopped",
    claim="While a replica hangs under load every prediction is answered, and right; when it goes on it takes its "
    "share again.",
    fault="SIGSTOP of a replica under a steady load",
    layer="serving",
    environment=ServingEnvironment,
    steady=(load_environment.champion_is_served, load_environment.gateway_has_all_replicas),
    inject=stop_a_replica,
    within_s=240,
    verdict=(victim_fell_silent, load_environment.all_answered, load_environment.all_right, share_is_back),
)
