"""Does my unit resume exactly? A contract suite for whoever writes a `koboshi.training.Unit`.

    from koboshi.training.testing import contract_of

    test_my_units_resume_exactly = contract_of({"forest": UnitSpec("my.units:forest", {...}, steps=4)}, my_table)

A unit that is not exact fails with one sentence that names the first step that differs, and why. The shares of one
model are checked together: `in_rounds(data_parallel(...))` is a unit whose step is a round of all of them.

check.py        runs the experiments that are needed, and no more; starts each in a process of its own; a gang as a unit
diagnosis.py    decides, pure: from the outcomes of experiments to the sentence
experiment.py   runs of a unit in that process, under conditions that the check chooses, with a clock that is set
"""

from koboshi.training.testing.check import assert_exact, check_unit, contract_of, in_rounds
from koboshi.training.testing.diagnosis import Cause, UnitVerdict

__all__ = ["Cause", "UnitVerdict", "assert_exact", "check_unit", "contract_of", "in_rounds"]
