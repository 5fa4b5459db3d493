"""replica-stopped: SIGSTOP of a replica under a steady load: it holds its connections and says nothing."""

from koboshi.drills.drill import Drill
from koboshi.drills.faults.signals import resume, stop
from koboshi.drills.scenes.serving_checks import (
    all_answered,
    all_right,
    champion_is_served,
    gateway_has_all_replicas,
    share_is_back,
    struck_replica_fell_silent,
)
from koboshi.drills.scenes.serving_scene import ServingScene
from koboshi.drills.strike import Strike
from koboshi.stack.kill import find_victim
from koboshi.stack.places import find_places


def stop_a_replica(scene: ServingScene) -> list[Strike]:
    """SIGSTOP to all processes of one replica; SIGCONT once the others have answered without it for a while."""
    settings = scene.settings
    victim = find_victim(scene.victim, settings, find_places(settings.project, settings.state_dir))
    scene.heals_by(lambda: resume(victim.pids))
    strike = stop(victim.name, victim.pids)
    return [strike] if strike else []


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
