"""Entry points that run as Ray jobs."""
