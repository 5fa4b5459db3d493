"""replica-killed: SIGKILL of a replica under a steady load of predictions."""

from koboshi.drills.drill import Drill
from koboshi.drills.faults.signals import kill
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


def kill_a_replica(scene: ServingScene) -> list[Strike]:
    """SIGKILL to all processes of one replica, in the middle of the load."""
    settings = scene.settings
    victim = find_victim(scene.victim, settings, find_places(settings.project, settings.state_dir))
    strike = kill(victim.name, victim.pids)
    return [strike] if strike else []


DRILL: Drill[ServingScene] = Drill(
    name="replica-killed",
    claim="While a replica is killed under load every prediction is answered, and right; it comes back and takes its "
    "share again.",
    fault="SIGKILL of a replica under a steady load",
    layer="serving",
    scene=ServingScene,
    steady=(champion_is_served, gateway_has_all_replicas),
    strike=kill_a_replica,
    within_s=240,
    verdict=(struck_replica_fell_silent, all_answered, all_right, share_is_back),
)
