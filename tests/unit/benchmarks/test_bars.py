"""A bar that was missed, or not measured, is never told as met."""

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks import bars, planning, training
from benchmarks.bars import Bar, all_of, at_most, missed, times_sooner, usually_at_most
from benchmarks.contender import OURS, PEERS
from benchmarks.recovery_bars import ATTAINED, GANG, HEAD_KILLED, NODE, SIGKILL, SIGSTOP, TWO_KILLS, judged, profile
from benchmarks.strikes import Recovery
from benchmarks.training import BARE, FORGETFUL, Took


def test_the_worst_value_decides() -> None:
    assert at_most("pause", 1.0, [0.2, 0.9]).met
    assert not at_most("pause", 1.0, [0.2, 1.1]).met


def test_of_what_a_shared_machine_scatters_the_median_decides() -> None:
    assert usually_at_most("cost", 5, [9.0, 4.0, 5.0], "%").met
    assert not usually_at_most("cost", 5, [1.0, 5.1, 6.0], "%").met


def test_the_ratio_is_of_medians() -> None:
    assert times_sooner("peer", 40, [0.3, 0.4, 9.0], [16.0]).met
    assert not times_sooner("peer", 40, [0.4], [15.9]).met


def test_nothing_measured_is_a_miss() -> None:
    listed = [at_most("pause", 1.0, []), times_sooner("peer", 1, [], [1.0]), all_of("same", [])]
    listed.append(usually_at_most("cost", 5, [], "%"))
    assert [bar.met for bar in listed] == [None] * 4
    assert missed(listed) == listed


def test_one_differing_model_is_a_miss() -> None:
    assert all_of("same", [True, True]).met
    assert all_of("same", [True, False]) == Bar("same", "all", "1 of 2", met=False)


def recovered(contender: str, fault: str, seconds: float) -> Recovery:
    return Recovery(contender, fault, 0.0, seconds - 0.2, seconds, 1, 0.2)


def good() -> list[Recovery]:
    """Figures that meet each bar."""
    ours = [recovered(OURS.name, SIGKILL, 0.4)] * 30
    others = [recovered(OURS.name, fault, 2.0) for fault in (TWO_KILLS, SIGSTOP, NODE)]
    others += [recovered(GANG.name, SIGKILL, 0.8)] * 3
    others += [recovered(ATTAINED.name, HEAD_KILLED, 40.0)]
    return [*ours, *others, *(recovered(peer.name, SIGKILL, 20.0) for peer in PEERS)]


def missing(recoveries: list[Recovery]) -> list[str]:
    same = {OURS.name: [True]}
    return [bar.what for bar in missed(judged(recoveries, same, [peer.name for peer in PEERS]))]


def test_good_figures_of_recovery_meet_every_bar() -> None:
    assert missing(good()) == []


@pytest.mark.parametrize(
    ("fault", "seconds", "what"),
    [
        (SIGKILL, 3.3, "SIGKILL → next committed step, worst"),
        (TWO_KILLS, 31.0, "two kills within 2 s"),
        (SIGSTOP, 3.3, "SIGSTOP → replaced"),
        (NODE, 5.3, "node killed → next committed step"),
    ],
)
def test_one_slow_recovery_misses_its_bar(fault: str, seconds: float, what: str) -> None:
    assert missing([*good(), recovered(OURS.name, fault, seconds)]) == [what]


def test_one_model_by_two_workers_and_the_head_have_bars_of_their_own() -> None:
    slow = [recovered(GANG.name, SIGKILL, 1.3)]
    late = [recovered(ATTAINED.name, HEAD_KILLED, 61.0)]
    assert missing([*good(), *slow]) == ["the same with two workers for one model"]
    assert missing([*good(), *late]) == ["head killed → next committed step"]


def test_the_profile_adds_up_to_the_recovery() -> None:
    parts = profile(
        [Recovery(OURS.name, SIGKILL, 0.0, 0.3, 0.7, 1, 0.25, 0.1), recovered("retried task", SIGKILL, 9.0)]
    )
    assert list(parts.values()) == pytest.approx([0.1, 0.2, 0.4, 0.25])
    assert profile([recovered("retried task", SIGKILL, 9.0)]) == {}


def test_a_peer_that_is_as_soon_misses_its_bar() -> None:
    assert missing([*good(), *[recovered("retried task", SIGKILL, 0.3)] * 2]) == ["sooner than retried task"]


def took(
    contender: str, units: int, work_s: float, *, driver_mb: float = 200.0, same: bool = True, number: int = 1
) -> Took:
    steps = 150 if units == training.SIDE_BY_SIDE else units * training.TINY_STEPS
    return Took(number, contender, units, steps, work_s, work_s, driver_mb, same)


PAIR = [took(BARE.name, 2, 16.0), took(FORGETFUL.name, 2, 16.2), took(OURS.name, 2, 16.5)]
CROWDS = [took(OURS.name, 10, 0.25), took(OURS.name, 1000, 25.0)]


def test_good_figures_of_training_meet_every_bar() -> None:
    assert missed(training.judged([*PAIR, *CROWDS])) == []


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (
            [*PAIR[:2], took(OURS.name, 2, 17.0), *CROWDS],
            {"machinery, against the bare loop", "checkpoints, one each step"},
        ),
        (
            [*PAIR, CROWDS[0], took(OURS.name, 1000, 40.0)],
            {"1,000 units of 10 tiny steps: committed", "cost by step, 1,000 units against 10"},
        ),
        ([*PAIR, CROWDS[0], took(OURS.name, 1000, 25.0, driver_mb=301)], {"memory of the driver of 1,000 units"}),
        ([*PAIR, *CROWDS, took(OURS.name, 2, 16.5, same=False)], {"the model of the undisturbed run"}),
    ],
)
def test_bad_figures_of_training_miss_their_bars(bad: list[Took], what: set[str]) -> None:
    assert {bar.what for bar in missed(training.judged(bad))} == what


def test_what_the_machinery_costs_is_told_by_rounds() -> None:
    """A round in which the machine was slow for all is as good as another one; one bad round of five is no miss."""
    costs = [1.02, 1.03, 1.04, 1.2, 0.9]
    found = [
        took(name, 2, seconds, number=number)
        for number, cost in enumerate(costs)
        for name, seconds in ((BARE.name, 10.0 * (1 + number)), (OURS.name, 10.0 * (1 + number) * cost))
    ]
    machinery = training.judged(found)[0]
    assert machinery.met
    assert machinery.measured == "median 3.0, from -10.0 to 20.0 % (n=5)"
    there_and_back = [*PAIR, took(BARE.name, 2, 20.0), took(OURS.name, 2, 20.6)]
    assert training.judged(there_and_back)[0].measured == "median 3.1, from 3.1 to 3.1 % (n=1)"


def test_the_figures_are_kept_with_the_machine(tmp_path: Path) -> None:
    path = bars.save("recovery", tmp_path, [all_of("same", [True])], tmp_path, raw=[1.5])
    kept = json.loads(path.read_text())
    assert kept["raw"] == [1.5]
    assert kept["bars"][0]["met"] is True
    assert {"cores", "processor", "load"} <= set(kept["machine"])
    assert kept["versions"]["ray"]


class TestPlanning:
    def test_many_spans_are_compared_with_few_within_a_round(self) -> None:
        """A round in which the machine was slow is slow for both."""
        found = [
            planning.Took("SQLite", number, what, spans, ms * slow)
            for number, slow in ((1, 1.0), (2, 9.0))
            for what in (planning.LANDING, planning.FRONTIER)
            for spans, ms in ((planning.FEW, 1.0), (planning.MANY, 1.1))
        ]
        landing, frontier = planning.judged(found)
        assert landing.met
        assert frontier.met
        found = [dataclasses.replace(took, ms=took.ms * 2) if took.spans == planning.MANY else took for took in found]
        assert not any(bar.met for bar in planning.judged(found))

    def test_it_measures_what_a_landing_asks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(planning, "MANY", 50)
        found = planning.measured(f"sqlite:///{tmp_path / 'ledger.db'}", "SQLite", rounds=1, calls=1)
        assert [(took.what, took.spans) for took in found] == [
            (what, spans) for what in (planning.LANDING, planning.FRONTIER) for spans in (planning.FEW, 50)
        ]
