"""Numbers and times as a reader wants them. Pure."""

import time

MINUS = "\N{MINUS SIGN}"


def seconds(value: float) -> str:
    """A length of time: as exact as it matters."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f} s"


def offset(value: float) -> str:
    """A moment on the drill's own clock, which starts at the first fault: `+0.04 s`."""
    return f"{MINUS if value < 0 else '+'}{seconds(abs(value))}"


def clock(at_s: float) -> str:
    """A moment of the day, in UTC, to the millisecond."""
    return f"{time.strftime('%H:%M:%S', time.gmtime(at_s))}.{int(at_s % 1 * 1000):03d}"


def day(at_s: float) -> str:
    """A day and minute, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_s))


def tick(value: float) -> str:
    """A number beside an axis: short."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{_signed(value / (1e3 if letter == 'k' else limit))}{letter}"
    return _signed(value)


def _signed(value: float) -> str:
    return f"{value:,.10g}".replace("-", MINUS)
