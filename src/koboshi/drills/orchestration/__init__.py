"""Drills of orchestration: what runs a task of Airflow is killed."""
