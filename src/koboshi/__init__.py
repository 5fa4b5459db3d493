"""koboshi: an ML pipeline that stands up again when its parts are knocked down.

    import koboshi

    project = koboshi.Project.find()

What a project imports is here, in `koboshi.airflow`, `koboshi.drills` and `koboshi.testing`; every other module may
change. Importing this one costs nothing: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from koboshi.errors import BadInput, Permanent
    from koboshi.project import Project
    from koboshi.training.declared import boosting, epochs, forest, unit

FACE = {
    "BadInput": "koboshi.errors:BadInput",
    "Permanent": "koboshi.errors:Permanent",
    "Project": "koboshi.project:Project",
    "boosting": "koboshi.training.declared:boosting",
    "epochs": "koboshi.training.declared:epochs",
    "forest": "koboshi.training.declared:forest",
    "unit": "koboshi.training.declared:unit",
}
__all__ = ["BadInput", "Permanent", "Project", "boosting", "epochs", "forest", "unit"]


def __getattr__(name: str) -> Any:
    if name not in FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = FACE[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *FACE])
