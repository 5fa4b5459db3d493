"""The local stack: real processes under a supervisor, one file for each technology, one table of what runs."""
