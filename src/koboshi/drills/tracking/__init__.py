"""Drills of tracking: MLflow is killed while runs are told to it."""
