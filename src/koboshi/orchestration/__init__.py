"""Airflow glue: run a stage of the pipeline, and turn its exit code into a retry or a failure.

    airflow_tasks   what DAG files are made of: tasks, assets, retry policy, trigger forms
    stages          one stage of dvc.yaml in one workspace, fenced by a lease
    workspaces      the project's own folder, or a copy of it with changed parameters; which candidates may be promoted
    commands        a process group that ends with its task, its output line by line
    airflow_client  Airflow's REST interface: trigger a run and follow it

Nothing is imported here, so that a DAG file pays only for what it names.
"""
