"""dvc.yaml from the declarations: a file that people read, diff and run. `sync` writes it, `is_current` checks it.

The stages are koboshi's; what a person writes under other keys (`plots`, `artifacts`) stays.
"""

from pathlib import Path
from typing import Any

import yaml

from koboshi.documents import load_mapping
from koboshi.errors import BadInput
from koboshi.files import publish_bytes
from koboshi.project.code_file import FILE as CODE_FILE
from koboshi.project.code_graph import files_of
from koboshi.project.declared import CODE, EVALUATE, TRAIN, Stage, Training
from koboshi.project.project import DATA, METRICS, Project

FILE = "dvc.yaml"
HEAD = """# The pipeline, as {module} declares it: `dvc repro` runs what has changed. Do not edit the stages here:
# change the declarations, then `koboshi project sync` writes this file again.
"""


def rendered(project: Project, module: str) -> str:
    """The text of dvc.yaml. Raises `BadInput` for a dependency that is neither a file nor a stage."""
    stages: dict[str, Any] = {CODE: _code_stage(project, module)}
    stages |= {name: _stage(project, stage, module) for name, stage in project.stages.items()}
    if project.training is not None:
        stages |= {TRAIN: _train(project.training, module), EVALUATE: _evaluate(project, project.training, module)}
    kept = {key: value for key, value in load_mapping(project.folder / FILE).items() if key != "stages"}
    return HEAD.format(module=module) + yaml.safe_dump({"stages": stages, **kept}, sort_keys=False, width=120)


def is_current(project: Project, module: str) -> bool:
    """Whether dvc.yaml is as the declarations want it."""
    path = project.folder / FILE
    return path.is_file() and path.read_text() == rendered(project, module)


def sync(project: Project, module: str) -> bool:
    """Write dvc.yaml, if it differs; whether it did."""
    if is_current(project, module):
        return False
    publish_bytes(project.folder / FILE, rendered(project, module).encode())
    return True


def _code_stage(project: Project, module: str) -> dict[str, Any]:
    """It looks at the environment, too, which no list of files tells of: so it runs each time."""
    return {
        "desc": "What each stage's code is: a change of code runs the stages that reach it, and no other.",
        "cmd": "koboshi project code",
        "deps": sorted(path.relative_to(project.folder).as_posix() for path in files_of(project.folder, module)),
        "always_changed": True,
        "outs": [{CODE_FILE: {"cache": False}}],
    }


def _stage(project: Project, stage: Stage, module: str) -> dict[str, Any]:
    described = {"desc": first_line(stage.build.__doc__)} if stage.build.__doc__ else {}
    params: list[Any] = [{CODE_FILE: [stage.name]}, *stage.params]
    deps = sorted(_dependency(project, stage.name, name) for name in stage.deps)
    return {
        **described,
        "cmd": _command(module, stage.name),
        "deps": deps,
        "params": params,
        "outs": [_data(stage.name)],
    }


def _dependency(project: Project, stage: str, name: str) -> str:
    if name in project.stages:
        return _data(name)
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise BadInput(f"stage {stage} depends on {name}, which is outside of the project: copy it into the project.")
    if name != "cut.json" and not (project.folder / name).exists():
        raise BadInput(
            f"stage {stage} depends on {name}, which is neither a stage nor a file of the project: mend deps."
        )
    return name


def _train(training: Training, module: str) -> dict[str, Any]:
    return {
        "desc": f"Train {', '.join(training.units)} on Ray in committed steps; whatever is killed, they go on.",
        "cmd": _command(module, TRAIN),
        "deps": [_data(training.on)],
        "params": [{CODE_FILE: [TRAIN]}, *training.params],
        "outs": [_data(TRAIN)],
    }


def _evaluate(project: Project, training: Training, module: str) -> dict[str, Any]:
    return {
        "desc": "Judge each unit on the rows that none has learnt from.",
        "cmd": _command(module, EVALUATE),
        "deps": [_data(training.on), _data(TRAIN)],
        "params": [{CODE_FILE: [EVALUATE]}, *(project.judging.params if project.judging else ())],
        "outs": [_data(EVALUATE)],
        "metrics": [{METRICS: {"cache": False}}],
    }


def _data(stage: str) -> str:
    return f"{DATA}/{stage}"


def _command(module: str, stage: str) -> str:
    return f"python -m {module} {stage}"


def first_line(doc: str | None) -> str:
    """The first line of a docstring."""
    return (doc or "").strip().splitlines()[0]
