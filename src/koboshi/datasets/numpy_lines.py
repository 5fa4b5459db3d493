"""Counts over the lines of a large text, without a loop over them."""

import numpy as np


def each_line_has(data: bytes, mark: bytes, times: int, start: int) -> bool:
    """Whether each line from byte `start` on has a mark of one byte exactly so many times, at least once."""
    text = np.frombuffer(data, np.uint8, offset=start)
    marks = np.flatnonzero(text == ord(mark))
    ends = np.flatnonzero(text == ord("\n"))
    if len(ends) == 0 or ends[-1] != len(text) - 1:
        ends = np.append(ends, len(text))
    if times < 1 or len(marks) != times * len(ends):
        return False
    of_line = marks.reshape(len(ends), times)
    return bool((of_line[:, -1] < ends).all() and (of_line[1:, 0] > ends[:-1]).all())
