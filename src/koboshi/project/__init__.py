"""A project: what a person declares in one module of their own, and what koboshi makes of it.

declared.py        what can be declared
project.py         `Project`, the one object that holds the declarations, and runs a stage of them
code_graph.py      what decides what a function does: its source, what it reaches, what it imports; distributions.py
code_file.py       code.json: for each stage the digest of its code, written by the pipeline's first stage
dvc_file.py        dvc.yaml, written and checked from the declarations
training_stage.py, evaluation_stage.py   the stages that come with a declared training
promotion.py       register, compare, promote: what comes after the last stage
running.py         `koboshi run`: the whole flow once, from a sample record to an answer
scaffold.py        `koboshi init`: a new project
"""

from koboshi.project.project import Project

__all__ = ["Project"]
