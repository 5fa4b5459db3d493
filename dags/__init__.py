"""When: the DAGs."""
