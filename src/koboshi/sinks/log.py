"""Events as records of Python's logging: for a program that keeps a log, such as an Airflow task or a replica."""

import logging

from koboshi.events import Event, Sink, Troubled

LOG = logging.getLogger("koboshi.events")


def to_log(event: Event) -> None:
    """Log the event's sentence, if it has one: as a warning where it is of trouble.

    The record also has the event itself, as `event`, for a handler that writes facts.
    """
    if sentence := event.sentence:
        level = logging.WARNING if isinstance(event, Troubled) else logging.INFO
        LOG.log(level, "%s", sentence, extra={"event": event})


def open_sink() -> Sink | None:
    """Wanted where the program has set up logging."""
    return to_log if LOG.hasHandlers() else None
