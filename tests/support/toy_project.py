"""A tiny project with a dvc.yaml of its own, whose first stage ends as params.yaml says."""

from pathlib import Path

DVC_YAML = """
stages:
  first:
    cmd: python -m steps.first
    deps: [cut.json, steps/first.py]
    params: [first]
    outs: [data/first]
  second:
    cmd: cp data/first data/second
    deps: [data/first]
    outs: [data/second]
"""
PARAMS = "first: {number: 3, rate: 1.0e-05, ends: fine}\nsecond: {since: '2018-07-25'}\n"
FIRST = """
import os, time
from pathlib import Path
import yaml
from koboshi.errors import Permanent, Transient
from koboshi.exits import run_and_exit

def main():
    params = yaml.safe_load(Path("params.yaml").read_text())["first"]
    print("in", os.environ["KOBOSHI_PROJECT"], os.environ["KOBOSHI_STATE_DIR"], flush=True)
    if params["ends"] == "corrupt":
        raise Permanent("span 7 is damaged: land it again.")
    if params["ends"] == "away":
        raise Transient("the broker is away: try again.")
    if params["ends"] == "late":
        Path("pid").write_text(f"{os.getpid()} ")
        while not Path("go").exists():
            time.sleep(0.05)
    Path("data").mkdir(exist_ok=True)
    Path("data/first").write_text(str(params["number"]))

run_and_exit(main, "first")
"""


def toy_project(folder: Path) -> Path:
    """Make the project in a new folder; its state folder is `.koboshi` in it, as usual."""
    files = {
        "dvc.yaml": DVC_YAML,
        "params.yaml": PARAMS,
        "koboshi.toml": "",
        "cut.json": "{}",
        "steps/__init__.py": "",
        "steps/first.py": FIRST,
        ".dvc/config": "[core]\n    no_scm = true\n    analytics = false\n[cache]\n    dir = ../.koboshi/dvc/cache\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
