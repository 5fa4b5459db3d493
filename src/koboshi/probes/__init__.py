"""Health of each remote part by real work, one file for each technology."""
