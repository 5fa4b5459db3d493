"""replica-stopped: SIGSTOP of a replica under a steady load: it holds its connections and says nothing."""

from koboshi.drills.drill import Drill, Strike
from koboshi.drills.kit.faults import resume, stop
from koboshi.drills.kit.parts import processes_of
from koboshi.drills.serving.load_scene import all_answered, all_right, champion_is_served, gateway_has_all_replicas
from koboshi.drills.serving.replica_scene import ServingScene, share_is_back, struck_replica_fell_silent


def stop_a_replica(scene: ServingScene) -> list[Strike | None]:
    """SIGSTOP to all processes of one replica; SIGCONT once the others have answered without it for a while."""
    pids = processes_of(scene.settings, scene.victim)
    scene.heals_by(lambda: resume(pids))
    return [stop(scene.victim, pids)]


DRILL: Drill[ServingScene] = Drill(
    name="replica-stopped",
    claim="While a replica hangs under load every prediction is answered, and right; when it goes on it takes its "
    "share again.",
    fault="SIGSTOP of a replica under a steady load",
    layer="serving",
    scene=ServingScene,
    steady=(champion_is_served, gateway_has_all_replicas),
    strike=stop_a_replica,
    within_s=240,
    verdict=(struck_replica_fell_silent, all_answered, all_right, share_is_back),
)
