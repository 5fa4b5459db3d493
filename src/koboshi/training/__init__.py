"""Training that goes on: units worked through in steps, on actors that may die at any moment.

spec.py        what is trained, and where: the job's whole input
unit.py        what a candidate has to be able to do
worker.py      one step of one unit: resume, step, checkpoint file
restart.py     decides, pure: who does what next, and what a death means
run_state.py   the state of a run, and what goes in and out of the decisions
pool.py        the seam to the machines: workers that do steps and may die
watched_pool.py              a pool whose workers are listened to
driver.py      acts: orders steps, commits them under the run's lease
checkpoints.py which committed step still verifies
standing.py, status_file.py  how a run stands just now, and the file in which its driver shows it
story.py, overview.py, observer.py           what is told of a training
watching.py, rich_overview.py                following it to its end
specification.py             one that a person hands over, checked
attach.py      one job for each key: submit it or attach to it, follow it to its end
ray_pool.py, ray_submit.py   the same on Ray
sklearn_units.py, sklearn_recipes.py, sklearn_folds.py, pandas_rows.py   ready-made units for scikit-learn
search_space.py              hyperparameter candidates as units
data_parallel.py, sklearn_merging.py         one model trained by many workers: shares as units, merged
gangs.py, barrier.py         units that do each step together: from which states, and who has to wait
resumption.py                from where each unit can go on
testing/                     the contract suite for a user's own units
"""

from koboshi.training.spec import TrainingSpec, UnitSpec, Workplace
from koboshi.training.unit import Unit

__all__ = ["TrainingSpec", "Unit", "UnitSpec", "Workplace"]
