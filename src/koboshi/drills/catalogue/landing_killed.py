"""landing-killed: SIGKILL of the lander in a file, between a file and its row, and after a row."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.landing_checks import files_equal_the_controls, kafka_works, landed_equals_the_broker
from koboshi.drills.scenes.landing_scene import LandingScene
from koboshi.drills.scenes.landing_strikes import (
    AFTER_THE_ROW,
    BEFORE_THE_ROW,
    kill_in_a_file,
    kill_when_it_pauses,
    struck_where_it_hurts,
)
from koboshi.drills.strike import Strike


def kill_three_landers(scene: LandingScene) -> list[Strike]:
    """Each lander takes over from the one that was killed before it."""
    strikes = [kill_in_a_file(scene, scene.first)]
    if strikes[-1]:
        strikes.append(kill_when_it_pauses(scene, scene.next_lander("renamed"), BEFORE_THE_ROW))
    if strikes[-1]:
        strikes.append(kill_when_it_pauses(scene, scene.next_lander("committed"), AFTER_THE_ROW))
    return [strike for strike in strikes if strike]


DRILL: Drill[LandingScene] = Drill(
    name="landing-killed",
    claim="Landers that are killed in a file, between a file and its row, and after a row lose and double nothing: "
    "what is landed in the end are the files of an undisturbed landing.",
    fault="SIGKILL of three landers at the moments that hurt",
    layer="ingest",
    scene=LandingScene,
    steady=(kafka_works,),
    strike=kill_three_landers,
    within_s=120,
    verdict=(struck_where_it_hurts, landed_equals_the_broker, files_equal_the_controls),
    faults=3,
)
