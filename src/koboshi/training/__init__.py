"""Training that goes on: units worked through in steps, on actors that may die at any moment.

spec.py        what is trained, and where: the job's whole input
unit.py        what a candidate has to be able to do
worker.py      one step of one unit: resume, step, checkpoint file
restart.py     decides, pure: who does what next, and what a death means
pool.py        the seam to the machines: workers that do steps and may die
driver.py      acts: orders steps, commits them under the run's lease
checkpoints.py which committed step still verifies
attach.py      one job for each key: submit it or attach to it, follow it to its end
ray_pool.py, ray_submit.py   the same on Ray
"""

from koboshi.training.spec import TrainingSpec, UnitSpec, Workplace
from koboshi.training.unit import Unit

__all__ = ["TrainingSpec", "Unit", "UnitSpec", "Workplace"]
