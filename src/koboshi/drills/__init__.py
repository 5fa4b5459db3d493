"""Drills: a fault is really injected into real processes, and an independent check says what became of it.

Each drill is one module in the folder of its layer (`ingest/`, `datasets/`, `training/`, `orchestration/`, `tracking/`,
`serving/`), beside what the drills of that layer share. `kit/` has what any drill may use: faults, things of its own,
witnesses. `drill.py` runs one, `catalogue.py` finds them all, `report.py` tells. A drill works on a topic, run or slot
of its own.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from koboshi.drills.declared import DeclaredWorkload
    from koboshi.drills.drill import Drill, Finding, Injection
    from koboshi.drills.ingest.landing_environment import LandingEnvironment
    from koboshi.drills.kit.faults import kill_part
    from koboshi.drills.serving.load_environment import all_answered, all_right, champion_is_served
    from koboshi.drills.serving.replica_environment import ServingEnvironment
    from koboshi.drills.training.training_environment import TrainingEnvironment
    from koboshi.drills.workload import SOUND, Decoded, MeantRecord

KIT = {
    "SOUND": "workload",
    "Decoded": "workload",
    "DeclaredWorkload": "declared",
    "Drill": "drill",
    "Finding": "drill",
    "Injection": "drill",
    "LandingEnvironment": "ingest.landing_environment",
    "MeantRecord": "workload",
    "ServingEnvironment": "serving.replica_environment",
    "TrainingEnvironment": "training.training_environment",
    "all_answered": "serving.load_environment",
    "all_right": "serving.load_environment",
    "champion_is_served": "serving.load_environment",
    "kill_part": "kit.parts",
}
__all__ = [
    "SOUND",
    "DeclaredWorkload",
    "Decoded",
    "Drill",
    "Finding",
    "Injection",
    "LandingEnvironment",
    "MeantRecord",
    "ServingEnvironment",
    "TrainingEnvironment",
    "all_answered",
    "all_right",
    "champion_is_served",
    "kill_part",
]


def __getattr__(name: str) -> Any:
    """The kit for a project's own drills: a name is imported when it is first used."""
    if name not in KIT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{KIT[name]}"), name)
