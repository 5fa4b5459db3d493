"""dataset-flipped: a byte rots in DVC's cache, and another one in a landed span."""

from koboshi.drills.drill import Drill
from koboshi.drills.scenes.dataset_checks import (
    all_is_as_before,
    kafka_answers,
    rotten_object_is_refused,
    rotten_span_is_refused,
)
from koboshi.drills.scenes.dataset_scene import DatasetScene
from koboshi.drills.strike import Strike


def flip_two_bytes(scene: DatasetScene) -> list[Strike]:
    """One where DVC keeps the table, one where the lander put the records that it is made of."""
    return [scene.rot_object(), scene.rot_span()]


DRILL: Drill[DatasetScene] = Drill(
    name="dataset-flipped",
    claim="A byte that flips in DVC's cache or in a landed span is noticed before anything is made of it, named, and "
    "made good by `dvc repro` and by landing again.",
    fault="a flipped byte in DVC's cache, and one in a landed span",
    layer="datasets",
    scene=DatasetScene,
    steady=(kafka_answers,),
    strike=flip_two_bytes,
    within_s=180,
    verdict=(rotten_object_is_refused, rotten_span_is_refused, all_is_as_before),
    faults=2,
)
