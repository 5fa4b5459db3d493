"""Other ways on Ray to train one model that goes on after a fault: each as its users would write it.

Each file is a Ray job like `ray_jobs/train.py`: it reads the same specification, does the same unit's steps, and keeps
a checkpoint of each. What differs is who notices a fault, and what comes of it.
"""
