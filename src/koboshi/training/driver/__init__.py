"""A run and its workers: who does which step, what counts, and what follows from a death.

run_state.py   the state of a run, and what goes in and out of the decisions
restart.py     decides, pure: who does what next, who of a gang has to wait, what a death means
pool.py        the seam to the machines: workers that do steps and may die; and one whose workers are listened to
worker.py      one step of one unit: resume, step, checkpoint file
resumption.py  from where each unit can go on, and a gang's members together
loop.py        acts: orders steps, commits them under the run's lease
status.py    how a run stands just now, and the file in which its driver shows it
"""
