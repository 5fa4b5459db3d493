"""A wait ends with the answer, with the end of its time, or when the answer can come no more."""

import threading

from koboshi.drills.kit.own_run import Watch, eventually


def test_it_is_asked_until_it_is_so() -> None:
    answers = iter([False, "", "yes"])
    assert eventually(lambda: next(answers), 60, look_s=0)
    assert next(answers, "asked no more") == "asked no more"


def test_what_is_so_at_once_needs_no_time() -> None:
    assert eventually(lambda: True, 0, over=lambda: True)


def test_it_ends_when_the_time_is_over_or_the_answer_can_come_no_more() -> None:
    assert not eventually(lambda: False, 0)
    over = iter([False, True])
    assert not eventually(lambda: False, 60, look_s=0, over=lambda: next(over))


def test_a_watch_looks_while_it_runs_and_once_more_at_its_end() -> None:
    looks, seen = [0], threading.Event()

    def look() -> None:
        looks[0] += 1
        seen.set()

    watch = Watch(look, every_s=0.001)
    watch.start()
    assert seen.wait(60)
    watch.stop()
    before = looks[0]
    watch.stop()
    assert looks[0] == before


def test_a_watch_that_never_began_has_nothing_to_end() -> None:
    Watch(lambda: None, every_s=60).stop()
