"""The recording in the README: it plays without scripts, fetches nothing, and says when what was seen."""

import re
from xml.etree import ElementTree as Xml

import pytest

from tools.terminal_svg import HOLD_S, Frame, Row, Run, film

PROMPT: Row = (Run("$ "), Run("koboshi", "green", bold=True))
ANSWER: Row = (Run("a < b & φ"),)
FRAMES = [Frame(0.0, (PROMPT, ())), Frame(1.5, (PROMPT, ANSWER)), Frame(61.25, (ANSWER, PROMPT))]
SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> Xml.Element:
    return Xml.fromstring(text)  # noqa: S314 our own


def test_a_film_is_one_image_without_scripts_and_references_to_elsewhere() -> None:
    text = film(FRAMES, 40, "a <title>")
    root = parsed(text)
    assert root.findtext(f"{SVG}title") == "a <title>"
    assert not list(root.iter(f"{SVG}script"))
    assert {one.get("href", "")[:1] for one in root.iter(f"{SVG}use")} == {"#"}
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_a_row_of_several_frames_is_there_once_and_a_row_without_a_letter_not_at_all() -> None:
    root = parsed(film(FRAMES, 40, "t"))
    defined = [one for one in root.iter(f"{SVG}text") if one.get("id")]
    assert ["".join(one.itertext()) for one in defined] == ["$ koboshi", "a < b & φ"]
    assert len(list(root.iter(f"{SVG}use"))) == 5


def test_each_frame_begins_at_its_own_time_and_the_last_one_stays() -> None:
    text = film(FRAMES, 40, "t")
    whole_s = FRAMES[-1].at_s + HOLD_S
    percents = [float(one) for one in re.findall(r"([\d.]+)%\{transform", text)]
    assert percents == [pytest.approx(100 * frame.at_s / whole_s, abs=1e-3) for frame in FRAMES]
    assert f"play {whole_s:.1f}s step-end infinite" in text
    assert re.findall(r'class="clock"[^>]*>([^<]*)<', text) == ["0:00.0", "0:01.5", "1:01.2"]


def test_who_wants_no_motion_sees_the_last_frame() -> None:
    text = film(FRAMES, 40, "t")
    height = float(parsed(text).get("height", "0"))
    assert f".strip{{transform:translateY(-{2 * height:g}px);" in text
    assert "@media(prefers-reduced-motion:reduce){.strip{animation:none}}" in text


def test_a_row_is_as_wide_as_its_cells_in_any_font() -> None:
    root = parsed(film(FRAMES, 40, "t"))
    widths = {
        "".join(one.itertext()): float(one.get("textLength", "0")) for one in root.iter(f"{SVG}text") if one.get("id")
    }
    assert widths == {"$ koboshi": pytest.approx(9 * 7.2), "a < b & φ": pytest.approx(9 * 7.2)}


def test_a_film_without_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a frame"):
        film([], 40, "t")
