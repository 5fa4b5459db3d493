"""Training that goes on: units worked through in steps, on actors that may die at any moment.

spec.py        what is trained, and where: units, the job's whole input; and one that a person hands over, checked
attach.py      one job for each key: submit it or attach to it, follow it to its end
driver/        a run and its workers: who does which step, what counts, what a death means
checkpoints/   where states are kept, and whether they are still what they were
on_ray/        the same on Ray
progress/      what people see of trainings
sklearn_units.py, sklearn_recipes.py, pandas_rows.py   ready-made units for scikit-learn, and folds as units
search_space.py              hyperparameter candidates as units
data_parallel.py, sklearn_merging.py         one model trained by many workers: shares as units, merged
testing/                     the contract suite for a user's own units
"""

from koboshi.training.spec import RunConfig, TrainingSpec, Unit, UnitSpec

__all__ = ["RunConfig", "TrainingSpec", "Unit", "UnitSpec"]
