"""What people see of trainings: read from ledger, journal and the driver's status file; it decides nothing.

story.py          what has happened, folded from the journal's events
overview.py       one training, put together
observer.py       reads all that there is
rich_overview.py  on a terminal
watching.py       following it to its end
"""
