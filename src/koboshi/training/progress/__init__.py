"""What people see of trainings: read from ledger, journal and the driver's status file; it decides nothing.

overview.py       what has happened in a training, and how it stands: put together, pure
observer.py       reads all that there is, and follows a training to its end
rich_overview.py  on a terminal
"""
