"""Two hundred faults, drawn from a seed, over trainings of every ready-made unit: `make nemesis-training`.

schedule.py     pure: which faults strike which training, from the seed alone
trainings.py    what is trained: every ready-made unit
striker.py      sends a fault into a running training, and sees it recover
verdicts.py     compares a training that was struck with the undisturbed one
orphans.py      who is left of a training that has ended
recording.py    writes a training into MLflow, and looks at what is there then
"""
