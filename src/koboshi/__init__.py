"""koboshi: an ML pipeline that stands up again when its parts are knocked down.

    import koboshi

    project = koboshi.Project.find()

What a project imports is here, in `koboshi.airflow`, `koboshi.drills` and `koboshi.testing`; every other module may
change. Importing this one costs nothing: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from koboshi.datasets.params import Params
    from koboshi.datasets.span_records import RawBatch
    from koboshi.errors import BadInput, Permanent, Rejected
    from koboshi.formats.manifest import Dataset
    from koboshi.formats.polars_tables import read_tables, write_days, write_table
    from koboshi.project import Project
    from koboshi.training.declared import DeclaredUnit, boosting, epochs, forest, unit

FACE = {
    "BadInput": "koboshi.errors:BadInput",
    "Dataset": "koboshi.formats.manifest:Dataset",
    "DeclaredUnit": "koboshi.training.declared:DeclaredUnit",
    "Params": "koboshi.datasets.params:Params",
    "Permanent": "koboshi.errors:Permanent",
    "Project": "koboshi.project:Project",
    "RawBatch": "koboshi.datasets.span_records:RawBatch",
    "Rejected": "koboshi.errors:Rejected",
    "boosting": "koboshi.training.declared:boosting",
    "epochs": "koboshi.training.declared:epochs",
    "forest": "koboshi.training.declared:forest",
    "read_tables": "koboshi.formats.polars_tables:read_tables",
    "unit": "koboshi.training.declared:unit",
    "write_days": "koboshi.formats.polars_tables:write_days",
    "write_table": "koboshi.formats.polars_tables:write_table",
}
__all__ = [
    "BadInput",
    "Dataset",
    "DeclaredUnit",
    "Params",
    "Permanent",
    "Project",
    "RawBatch",
    "Rejected",
    "boosting",
    "epochs",
    "forest",
    "read_tables",
    "unit",
    "write_days",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = FACE[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *FACE])
