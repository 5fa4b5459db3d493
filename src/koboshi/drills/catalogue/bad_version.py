"""bad-version: a corrupt version, and one that answers otherwise than it was recorded, are set as champion by hand."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.release_checks import (
    bad_versions_are_refused,
    bad_versions_never_answer,
    good_version_is_taken,
    registry_answers,
)
from koboshi.drills.scenes.release_scene import ReleaseScene
from koboshi.drills.scenes.serving_checks import all_answered, all_right
from koboshi.drills.strike import Strike


def set_bad_versions(scene: ReleaseScene) -> list[Strike]:
    """One after the other, each until every replica has looked at it."""
    return [scene.corrupt(), scene.falsify()]


DRILL: Drill[ReleaseScene] = Drill(
    name="bad-version",
    claim="A version whose bytes or whose answers are not those that were recorded is refused by every replica, which "
    "says why, while the version before answers every request; a good one is taken then.",
    fault="a corrupt version and a false one, set as champion by hand",
    layer="serving",
    scene=ReleaseScene,
    steady=(registry_answers,),
    strike=set_bad_versions,
    within_s=180,
    verdict=(bad_versions_are_refused, bad_versions_never_answer, all_answered, all_right, good_version_is_taken),
    faults=2,
)
