"""The drill report as a reader meets it: in a real browser, on a desk, on a phone, in the dark, and on paper."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from koboshi.drills.page.overview import Journal, gather
from koboshi.drills.page.render import publish_page
from tests.support.drill_journals import AWAY, save_all, save_journal

TEXT = """
const seen = (color) => {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data];
};
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = seen(getComputedStyle(at).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility() || element.closest('desc, title')) continue;
  const style = getComputedStyle(element);
  const color = seen(element instanceof SVGElement ? style.fill : style.color);
  found.push([element.textContent.trim().slice(0, 40), color, ground(element)]);
}
return found;
"""


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> list[Journal]:
    return gather(save_all(tmp_path_factory.mktemp("drills")))


@pytest.fixture(scope="module")
def address(journals: list[Journal], tmp_path_factory: pytest.TempPathFactory) -> str:
    return publish_page(tmp_path_factory.mktemp("page") / "report.html", journals).as_uri()


@pytest.fixture
def page(browser: Chrome, address: str) -> Iterator[Chrome]:
    """The page, just opened, on a desk; afterwards the browser is as it was."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _screen(1280, 900))
    browser.get_log("performance")
    browser.get(address)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def _screen(width: int, height: int) -> dict[str, object]:
    return {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}


def test_nothing_is_fetched_and_nothing_complained_of(page: Chrome, address: str) -> None:
    """A published page tells nobody who reads it, and needs no network."""
    sent = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in sent if event["method"] == "Network.requestWillBeSent"}
    assert asked == {address}
    assert page.get_log("browser") == []


def test_a_script_could_not_run_even_if_it_came_in(page: Chrome) -> None:
    """The page's own policy forbids what the escaping already prevents."""
    page.execute_cdp_cmd("Runtime.evaluate", {"expression": INJECT})
    assert page.execute_script("return window.ran") is None
    assert any("Content Security Policy" in entry["message"] for entry in page.get_log("browser"))


INJECT = """
const script = document.createElement('script'); script.textContent = 'window.ran = 1'; document.body.append(script);
"""


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (768, 1024), (360, 740)])
def test_each_drill_can_be_read_without_moving_sideways(
    page: Chrome, journals: list[Journal], width: int, height: int
) -> None:
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _screen(width, height))
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    text = page.find_element(By.TAG_NAME, "body").text
    for journal in journals:
        assert journal.report.claim in text
        assert all(finding.said.replace("`", "") in text for finding in journal.report.outcome.findings)
    charts = [chart for chart in page.find_elements(By.CSS_SELECTOR, "svg.chart") if chart.is_displayed()]
    assert len(charts) == 4, "one for each drill with a fault, in one size"
    assert all(0 < chart.rect["width"] <= width for chart in charts)


@pytest.mark.parametrize("width", [1280, 360])
def test_letters_of_charts_keep_a_size_that_can_be_read(page: Chrome, width: int) -> None:
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _screen(width, 900))
    high = page.execute_script(
        "return [...document.querySelectorAll('svg.chart text')].filter((t) => t.checkVisibility())"
        ".map((t) => t.getBoundingClientRect().height)"
    )
    assert len(high) > 20
    assert min(high) >= 11


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_stands_out_from_its_ground(page: Chrome, scheme: str) -> None:
    """At least 4.5 to 1, as WCAG AA asks, with all that can be folded open."""
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    page.execute_script("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
    words = page.execute_script(TEXT)
    assert len(words) > 150
    assert _luminance(words[0][2]) > 0.8 if scheme == "light" else _luminance(words[0][2]) < 0.05
    assert [(said, color, ground) for said, color, ground in words if _contrast(color, ground) < 4.5] == []


def test_on_paper_each_drill_begins_a_page(browser: Chrome, tmp_path: Path) -> None:
    """Also those that would fit on one together; what is folded is left out."""
    drills = gather([save_journal(tmp_path, *AWAY, at_s=1e9 + number) for number in range(6)])
    browser.get(publish_page(tmp_path / "report.html", drills).as_uri())
    printed = base64.b64decode(browser.print_page())
    assert printed.startswith(b"%PDF")
    assert len(drills) + 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= len(drills) + 4


def test_a_journal_unfolds_and_a_row_leads_to_its_drill(page: Chrome, journals: list[Journal]) -> None:
    name = journals[0].report.drill
    page.find_element(By.LINK_TEXT, name).click()
    drill = page.find_element(By.CSS_SELECTOR, f"article[id='{name}']")
    assert abs(page.execute_script("return arguments[0].getBoundingClientRect().top", drill)) < 900
    drill.find_element(By.CSS_SELECTOR, "details:last-of-type summary").click()
    assert drill.find_element(By.TAG_NAME, "pre").text.strip() == journals[0].text.strip()


def _contrast(one: list[int], other: list[int]) -> float:
    """Of two colours, as WCAG defines it: 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: list[int]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in color[:3])]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
