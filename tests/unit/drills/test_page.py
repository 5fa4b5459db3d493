"""The page of the drills: every number is in its place, no journal breaks it, and what a journal says stays text."""

import dataclasses
import hashlib
import itertools
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from koboshi.cli.drill_verbs import app
from koboshi.drills.drill import Drill, DrillOutcome, Event, Evidence, Finding, Injection, Series
from koboshi.drills.page import overview, scale
from koboshi.drills.page.overview import Journal, gather, open_journal
from koboshi.drills.page.render import prose, publish_page, render
from koboshi.drills.page.scale import LARGEST, Scale, around, plottable, thinned, ticks
from koboshi.drills.page.story import Line, Moment, Story, tell
from koboshi.drills.page.timeline import LETTER, Label, label, path, timeline
from koboshi.drills.report import measured, measures_of, seconds
from koboshi.errors import BadInput, Permanent
from tests.support.drill_journals import ALL, AWAY, BEGAN_S, REPLICA, THRICE, WORKER, ZOMBIE, save_all, save_journal

ANY = st.floats(allow_nan=True, allow_infinity=True)
SOME = st.floats(-LARGEST, LARGEST)


KINDS = st.sampled_from(["fault", "suspicion", "recovery", "note"])
MARKED = st.sampled_from(["fault", "suspicion", "recovery"])


@pytest.fixture
def journals(tmp_path: Path) -> list[Journal]:
    return gather(save_all(tmp_path))


class Outline(HTMLParser):
    """Tags that were opened and never closed, ids, links, and the text."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.tags.add(tag)
        self.ids += [facts["id"] or ""] if "id" in facts else []
        self.links += [facts["href"] or ""] if "href" in facts else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


# ---- numbers ----


@pytest.mark.parametrize(
    ("low", "high", "about", "expected"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (-3, 17, 4, [0, 5, 10, 15]),
        (0, 0.3, 3, [0, 0.1, 0.2, 0.3]),
        (0, 240, 3, [0, 100, 200]),
        (5, 5, 4, [5]),
    ],
)
def test_ticks_are_round(low: float, high: float, about: int, expected: list[float]) -> None:
    assert ticks(low, high, about) == expected


@given(SOME, SOME, st.integers(1, 20))
def test_ticks_lie_within_and_are_few(a: float, b: float, about: int) -> None:
    """Whatever the range: none outside of it, and never so many that they touch."""
    low, high = min(a, b), max(a, b)
    found = ticks(low, high, about)
    assert len(found) <= about + 1
    assert all(low - 1e-6 * (high - low) <= value <= high + 1e-6 * (high - low) for value in found)


@given(st.lists(st.tuples(ANY, ANY)))
def test_what_can_be_drawn_is_finite_and_in_order(points: list[tuple[float, float]]) -> None:
    kept = plottable(points)
    assert kept == sorted(kept)
    assert all(math.isfinite(number) for point in kept for number in point)


@given(st.lists(st.tuples(SOME, SOME), min_size=1, max_size=400), st.integers(1, 20))
def test_thinning_keeps_the_ends_and_the_extremes(points: list[tuple[float, float]], buckets: int) -> None:
    """A second without answers among a million is still to be seen."""
    points = sorted(points)
    kept = thinned(points, buckets)
    values = [value for _, value in points]
    assert len(kept) <= 4 * buckets
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert {min(values), max(values)} <= {value for _, value in kept}


def test_a_scale_without_extent_has_a_middle() -> None:
    assert Scale(3, 3, 10, 20)(3) == 15
    assert Scale(0, 4, 10, 20)(1) == 12.5


@pytest.mark.parametrize(
    ("values", "reach"), [([], (0, 1)), ([0.0, 0.0], (0, 1)), ([3.0, 7.0], (0, 7)), ([-2.0, 1.0], (-2, 1))]
)
def test_an_axis_holds_zero(values: list[float], reach: tuple[float, float]) -> None:
    assert around(values) == reach


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (seconds(0.0444), "0.04 s"),
        (seconds(61.27), "61.27 s"),
        (seconds(5000), "5,000 s"),
        (scale.offset(-3.2), "−3.20 s"),  # noqa: RUF001
        (scale.offset(0.97), "+0.97 s"),
        (scale.offset(-0.004), "+0.00 s"),
        (scale.offset(-0.0), "+0.00 s"),
        (scale.tick(-2.5), "−2.5"),  # noqa: RUF001
        (scale.tick(9000), "9,000"),
        (scale.tick(25_000), "25k"),
        (scale.tick(1.5e6), "1.5M"),
        (scale.clock(1_700_000_000.25), "22:13:20.250"),
        (scale.day(1_700_000_000.25), "2023-11-14 22:13 UTC"),
    ],
)
def test_numbers_read_as_people_write_them(said: str, expected: str) -> None:
    assert said == expected


# ---- the story and its chart ----


def test_the_clock_starts_at_the_last_fault_that_something_followed() -> None:
    """SIGCONT ends a fault; nothing is suspected or recovers after it."""
    story = tell(ZOMBIE[1], BEGAN_S)
    assert [(round(moment.after_s, 2), moment.kind) for moment in story.moments] == [
        (0, "fault"),
        (3.02, "suspicion"),
        (3.4, "recovery"),
        (5.5, "fault"),
    ]
    assert story.lines[0].points[0][0] == -4
    assert story.clock == "fault at 0"


def test_of_several_faults_each_has_an_outage_of_its_own_and_times_are_those_of_the_last() -> None:
    """The second fault struck before the first one's recovery, which a drill tells of for each of them."""
    story = tell(THRICE[1], BEGAN_S)
    assert [(round(moment.after_s, 2), moment.kind) for moment in story.moments] == [
        (-18, "fault"),
        (-16, "suspicion"),
        (-12, "fault"),
        (-8, "recovery"),
        (0, "fault"),
        (3, "suspicion"),
        (5, "recovery"),
    ]
    assert [(round(begun), round(healed)) for begun, healed in story.outages] == [(-18, -8), (0, 5)]
    found = measures_of(THRICE[1])
    assert (found["detected_after_s"], found["recovered_after_s"]) == (3, 5)
    drawing = timeline(story, 760)
    assert drawing is not None
    labels = [mark.label.text for mark in drawing.marks if mark.label]
    assert {"fault", "suspected +3.00 s", "recovered +5.00 s"} <= set(labels)
    assert drawing.axis == "seconds after the last fault"
    assert drawing.outages == [(drawing.marks[0].x, drawing.marks[3].x), (drawing.marks[4].x, drawing.marks[6].x)]


@pytest.mark.parametrize("drill", [REPLICA, WORKER, ZOMBIE, THRICE], ids=lambda drill: drill[0].name)
def test_table_and_chart_tell_the_same_times(drill: tuple[Drill[Any], DrillOutcome]) -> None:
    """To the last digit that is shown."""
    outcome, story = drill[1], tell(drill[1], BEGAN_S)
    for name, kind in (("detected_after_s", "suspicion"), ("recovered_after_s", "recovery")):
        moment = story.first(kind)
        assert moment is not None
        assert scale.offset(moment.after_s) == f"+{measured(name, measures_of(outcome)[name])}"


@given(st.lists(st.tuples(st.floats(0, 100), KINDS), max_size=12), st.lists(st.floats(0, 100), max_size=4))
def test_whatever_is_told_of_it_an_outage_begins_with_a_fault_and_ends_with_a_recovery(
    told: list[tuple[float, str]], faults: list[float]
) -> None:
    """None overlaps another; a fault within one has none of its own."""
    injections = [Injection("SIGKILL", "x", BEGAN_S + at, at, took=True) for at in faults]
    events = [Event(BEGAN_S + at, kind, "said") for at, kind in told]  # type: ignore[arg-type]
    story = tell(DrillOutcome("proved", [], injections, Evidence({}, events)), BEGAN_S)
    ends = [end for outage in story.outages for end in outage]
    assert ends == sorted(ends)
    assert {begun for begun, _ in story.outages} <= {moment.after_s for moment in story.of("fault")}
    assert {healed for _, healed in story.outages} <= {moment.after_s for moment in story.of("recovery")}
    assert len(set(story.moments)) == len(story.moments)


def test_without_a_fault_the_clock_starts_at_the_begin() -> None:
    outcome = DrillOutcome("unknown", [], (), Evidence({}, [Event(BEGAN_S + 2, "note", "n")]))
    story = tell(outcome, BEGAN_S)
    assert not story.injected
    assert story.moments == [Moment(2, "note", "n")]


def test_a_chart_marks_faults_suspicions_recoveries_and_draws_each_line() -> None:
    drawing = timeline(tell(REPLICA[1], BEGAN_S), 760)
    assert drawing is not None
    assert [mark.kind for mark in drawing.marks] == ["fault", "suspicion", "recovery"]
    assert [mark.label.text for mark in drawing.marks if mark.label] == [
        "fault",
        "suspected +0.21 s",
        "recovered +11.04 s",
    ]
    assert len(drawing.notes) == 2
    assert [panel.title for panel in drawing.panels] == ["answers of all replicas (1/s)", "answers of replica-2 (1/s)"]
    assert drawing.panels[0].ticks[-1].text == drawing.panels[1].ticks[-1].text, "one unit, one range"
    assert drawing.outages == [(drawing.marks[0].x, drawing.marks[2].x)]
    assert drawing.height > drawing.panels[-1].bottom > drawing.panels[-1].top > drawing.panels[0].bottom > drawing.lane
    assert "0" in [tick.text for tick in drawing.ticks]
    assert drawing.axis == "seconds after the fault"


def test_a_long_drill_is_told_in_minutes() -> None:
    drawing = timeline(Story(True, [Moment(0, "fault", "f"), Moment(900, "recovery", "r")], []), 760)
    assert drawing is not None
    assert drawing.axis == "minutes after the fault"
    assert [tick.text for tick in drawing.ticks][:3] == ["0", "+2", "+4"]


@pytest.mark.parametrize("moments", [[], [Moment(3, "fault", "f")]])
def test_no_more_than_one_moment_is_no_chart(moments: list[Moment]) -> None:
    assert timeline(Story(bool(moments), moments, []), 760) is None


def test_what_was_only_measured_has_its_moment_too() -> None:
    """Journals of format 1 have measures and no events."""
    outcome = DrillOutcome(
        "proved", [], [Injection("SIGKILL", "x", BEGAN_S, 0.0, took=True)], Evidence({"recovered_after_s": 2})
    )
    assert tell(outcome, BEGAN_S).moments[1:] == [Moment(2, "recovery", "the first good work")]


def test_no_recovery_is_no_outage_that_ended() -> None:
    drawing = timeline(Story(True, [Moment(0, "fault", "f"), Moment(-1, "recovery", "before")], []), 760)
    assert drawing is not None
    assert drawing.outages == []


def test_labels_do_not_lie_on_each_other() -> None:
    """Three at one place take three rows, the fourth has none; at the right edge a label ends at its mark."""
    time = Scale(0, 10, 10, 610)
    near = [
        Moment(5, "fault", ""),
        *(Moment(5 + n / 100, "suspicion", "") for n in range(3)),
        Moment(10, "recovery", ""),
    ]
    found = label(near, time, 620)
    assert [spot.y if spot else None for spot in found] == [18, 36, 54, None, 18]
    assert found[4] is not None
    assert found[4].anchor == "end"


@given(st.lists(st.builds(Moment, st.floats(0, 10), MARKED, st.just("")), max_size=9), st.sampled_from([328, 760]))
def test_no_label_lies_on_another_or_on_the_line_of_one(moments: list[Moment], width: int) -> None:
    """A line goes straight down from each label's mark, through all rows below it."""
    moments = sorted(moments, key=lambda moment: moment.after_s)
    time = Scale(0, 10, 14, width - 14)
    spots = [
        (time(m.after_s), spot, reach(spot))
        for m, spot in zip(moments, label(moments, time, width), strict=True)
        if spot
    ]
    for (x, spot, (begin, end)), (_, other, (left, right)) in itertools.permutations(spots, 2):
        assert spot.y != other.y or end < left or right < begin
        assert spot.y >= other.y or not left <= x <= right
        assert 0 <= begin <= end <= width


def reach(spot: Label) -> tuple[float, float]:
    """From where to where its text reaches."""
    long = len(spot.text) * LETTER
    return (spot.x, spot.x + long) if spot.anchor == "start" else (spot.x - long, spot.x)


def test_a_lone_point_is_seen() -> None:
    assert path([(1, 2)]) == "M1,2h2"
    assert path([(1, 2), (3, 4.5)]) == "M1,2L3,4.5"


def test_a_count_stays_level_until_it_grows() -> None:
    """Nobody committed half a step."""
    drawing = timeline(Story(False, [], [Line("steps", "", [(0, 0), (5, 0), (10, 1)])]), 760)
    assert drawing is not None
    assert re.fullmatch(r"M46,\d+H396V\d+H746V\d+", drawing.panels[0].line)


LINES = st.builds(
    Line, st.just("n"), st.sampled_from(["", "1/s"]), st.lists(st.tuples(SOME, SOME), min_size=1).map(sorted)
)


@given(
    st.lists(st.builds(Moment, SOME, KINDS, st.just("said"))), st.lists(LINES, max_size=3), st.sampled_from([328, 760])
)
def test_a_chart_stays_within_its_frame(moments: list[Moment], lines: list[Line], width: int) -> None:
    """Whatever was measured: every mark, line and tick is a number, and lies in the drawing."""
    drawing = timeline(Story(True, sorted(moments, key=lambda moment: moment.after_s), lines), width)
    if drawing is None:
        assert len({moment.after_s for moment in moments}) < 2
        return
    numbers = [
        float(n) for panel in drawing.panels for n in re.findall(r"-?[\d.]+(?:e[+-]?\d+)?", panel.line + panel.area)
    ]
    assert all(math.isfinite(number) and 0 <= number <= max(width, drawing.height) for number in numbers)
    for x in [*(mark.x for mark in drawing.marks), *drawing.notes, *(tick.at for tick in drawing.ticks)]:
        assert drawing.left - 0.1 <= x <= drawing.right + 0.1


# ---- the table ----


def test_the_numbers_of_the_verdict(journals: list[Journal]) -> None:
    found = overview.totals(journals)
    assert (found.proved, found.refuted, found.unknown, found.drills) == (3, 1, 1, 5)
    assert (found.lost, found.doubled, found.mispredicted) == (0, 188, 0)
    assert found.sentence == "3 of 5 drills proved, 1 refuted, 1 unknown."


def test_what_no_drill_measured_is_no_zero(tmp_path: Path) -> None:
    """Lost predictions are only counted where predictions were asked for."""
    found = overview.totals([open_journal(save_journal(tmp_path, *drill)) for drill in (ZOMBIE, AWAY)])
    assert found.mispredicted is None


def test_lost_and_wrong_predictions_both_count(tmp_path: Path) -> None:
    drill, _ = REPLICA
    outcome = DrillOutcome("refuted", [], (), Evidence({"lost": 2, "wrong": 3}))
    assert overview.totals([open_journal(save_journal(tmp_path, drill, outcome))]).mispredicted == 5


def test_rows_follow_the_way_of_the_data(journals: list[Journal]) -> None:
    assert [layer for layer, _ in overview.by_layer(journals)] == ["ingest", "training", "tracking", "serving"]
    assert overview.untested(journals) == ["stream", "datasets", "orchestration"]


def test_a_layer_that_we_do_not_know_comes_last(tmp_path: Path) -> None:
    path = save_journal(tmp_path, *REPLICA)
    strange = tmp_path / "strange.json"
    strange.write_text(path.read_text().replace('"layer": "serving"', '"layer": "attic"'))
    assert [layer for layer, _ in overview.by_layer(gather([strange, path]))] == ["serving", "attic"]


def test_several_runs_of_a_drill_have_places_of_their_own(tmp_path: Path) -> None:
    found = gather([save_journal(tmp_path, *WORKER, at_s=at_s) for at_s in (1e9, 2e9)])
    assert list(overview.anchors(found).values()) == ["ray-worker-killed", "ray-worker-killed.2"]


def test_machines_are_told_once(journals: list[Journal]) -> None:
    """The load is each drill's own; a journal of format 1 tells no machine."""
    (place,) = overview.circumstances(journals)
    facts, group = place
    assert "load" not in facts
    assert "python" in facts
    assert len(group) == 4


# ---- the page ----


def test_the_page_tells_each_drill(journals: list[Journal]) -> None:
    """Proved, refuted and unknown alike: claim, fault, proof, findings, scale, file and digest."""
    text = " ".join(Outline(render(journals)).text.split())
    for journal in journals:
        told = [journal.report.drill, journal.report.claim, journal.report.fault, journal.name, journal.sha256]
        told += [finding.said.replace("`", "") for finding in journal.report.outcome.findings]
        told += [str(injection) for injection in journal.report.outcome.injections]
        assert not [words for words in told if words not in text]
    assert text.count("Refuted, because") == 1
    assert text.count("Unknown, because") == 1
    assert "11.04 s" in text
    assert "not seen to have taken" not in text


def test_answers_are_told_before_during_and_after_the_fault(tmp_path: Path) -> None:
    """In a table of their own, and not among the other measures once more; an older journal has no such table."""
    drill, outcome = REPLICA
    known = {"p50_before_ms": 11.0, "p99_before_ms": 12.0, "p50_during_ms": 300.4, "p99_during_ms": 901.0}
    told = dataclasses.replace(outcome, evidence=outcome.evidence.plus(known))
    page = " ".join(Outline(render([open_journal(save_journal(tmp_path, drill, told))])).text.split())
    assert "before the fault 11.0 ms 12.0 ms during the fault 300 ms 901 ms" in page
    assert "p50 before" not in page.replace("p50, p99 before", "")
    assert "after the fault" not in page.partition("The fault, and the proof")[0].partition("when p50 p99")[2]
    assert "during the fault" not in Outline(render([open_journal(save_journal(tmp_path, *WORKER))])).text


def test_the_page_is_whole_and_fetches_nothing(journals: list[Journal]) -> None:
    outline = Outline(render(journals))
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert all(link.removeprefix("#") in outline.ids for link in outline.links)
    assert not outline.tags & {"script", "link", "img", "iframe", "object", "form"}
    assert "url(" not in render(journals)
    assert "@import" not in render(journals)


def test_the_same_journals_give_the_same_page(journals: list[Journal]) -> None:
    assert render(journals) == render(list(reversed(journals)))


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", "\"><img src=x onerror='x'>", "</pre></style>{{ 7 * 7 }}"]
)
def test_what_a_journal_says_stays_text(tmp_path: Path, evil: str) -> None:
    """A journal may come from anybody, and every word of it is theirs."""
    path = save_journal(tmp_path, *REPLICA)
    told = json.loads(path.read_text())
    for name in ("drill", "claim", "fault", "layer"):
        told[name] = evil
    told["machine"] = {evil: evil}
    told["versions"] = {evil: evil}
    killed = {**told["outcome"]["strikes"][0], "fault": evil, "target": evil, "detail": evil}
    events = [{"at_s": BEGAN_S, "kind": kind, "said": evil} for kind in ("note", "suspicion", "recovery")]
    told["outcome"] = {
        "verdict": "refuted",
        "findings": [{"check": evil, "holds": False, "said": evil}],
        "strikes": [killed],
        "evidence": {
            "measures": {evil: 1.0},
            "events": events,
            "series": [{"name": evil, "unit": evil, "points": [[BEGAN_S, 1.0]]}],
        },
    }
    path = tmp_path / "<i>.json"
    path.write_text(json.dumps(told))
    page = render([open_journal(path)])
    outline = Outline(page)
    assert outline.open == []
    assert not outline.tags & {"script", "img", "i"}
    assert evil in outline.text
    assert evil not in page


def test_a_journal_with_numbers_that_are_none_still_gives_a_page(tmp_path: Path) -> None:
    """Without a word of `nan` where something would be drawn."""
    drill, _ = REPLICA
    nan, inf = math.nan, math.inf
    evidence = Evidence(
        {"detected_after_s": nan, "lost": inf, "huge": 1e300},
        [Event(1e300, "recovery", "far"), Event(nan, "note", "never")],
        [Series("s", "u", [(nan, 1), (BEGAN_S, inf)]), Series("empty", "u", []), Series("lone", "u", [(BEGAN_S, 1)])],
    )
    injection = Injection("SIGKILL", "x", BEGAN_S, 0.0, took=False)
    page = render([open_journal(save_journal(tmp_path, drill, DrillOutcome("unknown", [], [injection], evidence)))])
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "nan" not in re.sub(r"<(desc|title).*?</\1>", "", drawn, flags=re.DOTALL).lower()
    assert "not seen to have taken" in page


def test_many_moments_are_cut_short_and_say_so(tmp_path: Path) -> None:
    drill, _ = REPLICA
    events = [Event(BEGAN_S + number, "recovery", f"back {number}") for number in range(40)]
    page = render([open_journal(save_journal(tmp_path, drill, DrillOutcome("proved", [], [], Evidence({}, events))))])
    assert "And 28 more" in page
    assert "Every moment (40)" in page


# ---- files ----


def test_a_digest_is_of_the_bytes_that_are_shown(tmp_path: Path) -> None:
    path = save_journal(tmp_path, *WORKER)
    journal = open_journal(path)
    assert journal.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert journal.text == path.read_text()


def test_a_folder_stands_for_the_newest_of_each_drill(tmp_path: Path) -> None:
    for at_s in (1e9, 3e9, 2e9):
        save_journal(tmp_path, *WORKER, at_s=at_s)
    save_journal(tmp_path, *AWAY)
    (tmp_path / "runs").mkdir()
    found = {journal.report.drill: journal.report.at_s for journal in gather([tmp_path])}
    assert found == {"ray-worker-killed": 3e9, "tracker-killed": BEGAN_S}


def test_files_dropped_into_a_folder_are_found_and_none_is_there_twice(tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    mine.write_bytes(save_journal(tmp_path, *WORKER).read_bytes())
    assert len(gather([tmp_path, mine, mine])) == 1


def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "koboshi.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    for name in ("KOBOSHI_PROJECT", "KOBOSHI_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".koboshi" / "drills"


def test_the_verb_takes_ones_own_newest_journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(tmp_path, monkeypatch)
    for drill, outcome in ALL:
        save_journal(folder, drill, outcome)
    result = CliRunner().invoke(app, ["report"])
    assert result.exit_code == 0
    assert "2 of 4 drills proved, 1 refuted, 1 unknown." in result.stdout
    assert str(folder / "report.html") in result.stdout.replace("\n", "")
    assert "<!doctype html>" in (folder / "report.html").read_text()


def test_the_verb_takes_somebody_elses_without_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    theirs, page = save_journal(tmp_path / "theirs", *ZOMBIE), tmp_path / "new" / "page.html"
    assert CliRunner().invoke(app, ["report", str(theirs), "--output", str(page)]).exit_code == 0
    assert "zombie-lander" in page.read_text()


@pytest.mark.parametrize(
    ("text", "said"), [("{}", "no journal|format"), ('{"format": 9}', "upgrade koboshi"), ("<html>", "no journal")]
)
def test_bad_input_is_a_sentence_and_nothing_is_written(tmp_path: Path, text: str, said: str) -> None:
    """Also when the other journals are good."""
    bad, page = tmp_path / "bad.json", tmp_path / "page.html"
    bad.write_text(text)
    good = save_journal(tmp_path / "good", *WORKER)
    result = CliRunner().invoke(app, ["report", str(good), str(bad), "--output", str(page)])
    assert isinstance(result.exception, Permanent)
    assert re.search(said, str(result.exception))
    assert not page.exists()


@pytest.mark.parametrize("name", ["gone.json", "."])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"cannot be read|has no journals"):
        gather([tmp_path / name])


def test_before_any_drill_it_says_how_to_run_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path, monkeypatch)
    error = CliRunner().invoke(app, ["report"]).exception
    assert isinstance(error, BadInput)
    assert "koboshi drill run" in str(error)


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path, journals: list[Journal]) -> None:
    """A folder is in its place: it is left as it is."""
    (tmp_path / "page.html").mkdir()
    with pytest.raises(BadInput, match="another file with --output"):
        publish_page(tmp_path / "page.html", journals)


def test_what_stands_between_backticks_is_code(tmp_path: Path) -> None:
    page = render([open_journal(save_journal(tmp_path, *AWAY))])
    assert "see <code>koboshi status</code>" in page
    assert prose("a <b> `<c>`") == "a &lt;b&gt; <code>&lt;c&gt;</code>"
    assert prose("a lone ` <b>") == "a lone ` &lt;b&gt;"


def test_a_finding_of_a_proved_drill_is_ticked(tmp_path: Path) -> None:
    drill, _ = WORKER
    outcome = DrillOutcome("refuted", [Finding("good", True, "g"), Finding("bad", False, "b")])
    page = render([open_journal(save_journal(tmp_path, drill, outcome))])
    assert page.count('aria-label="holds"') == 1
    assert page.count('aria-label="does not hold"') == 1
