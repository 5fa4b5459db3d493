"""The documentation as a reader meets it: in a real browser, on a desk and on a phone."""

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.docs_site import build_site

LIMIT_S = 60.0
SHADOWS = "return [...document.querySelectorAll('*')].map((one) => one.shadowRoot?.textContent ?? '').join('')"
SCREEN = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
PAGES = ("index.html", "docs/tutorial.html", "docs/when-koboshi.html", "docs/training.html", "reference/cli.html")


class Silent(SimpleHTTPRequestHandler):
    """Files, and no word on stderr."""

    def log_message(self, *_words: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The site, served as a web server would: its search asks for a file."""
    site: Path = build_site(tmp_path_factory.mktemp("docs"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(browser: Chrome) -> Iterator[Chrome]:
    browser.get_log("performance")
    browser.get_log("browser")
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_read_without_a_network_and_without_moving_sideways(
    page: Chrome, address: str, path: str, width: int
) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    page.get(f"{address}/{path}")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.execute_script("return [...document.images].every((one) => one.naturalWidth > 0)")
    sent = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in sent if event["method"] == "Network.requestWillBeSent"]
    assert asked
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    assert [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_search_finds_a_page_without_a_network(page: Chrome, address: str) -> None:
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SCREEN)
    page.get(f"{address}/index.html")
    page.find_element(By.CSS_SELECTOR, ".md-search__button").click()
    WebDriverWait(page, LIMIT_S).until(lambda at: at.execute_script("return !!document.activeElement.shadowRoot"))
    page.switch_to.active_element.send_keys("fencing token")
    WebDriverWait(page, LIMIT_S).until(lambda at: "koboshi.errors.Fenced" in at.execute_script(SHADOWS))


def test_the_recording_moves(page: Chrome, address: str) -> None:
    """The film plays by itself: its strip has an animation that runs, and no script."""
    page.get(f"{address}/docs/pictures/recovery.svg")
    states = page.execute_script("return document.getAnimations().map((one) => one.playState)")
    assert states == ["running"]
    assert page.execute_script("return document.querySelectorAll('script').length") == 0
