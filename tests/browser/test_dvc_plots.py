"""`dvc plots show` as a reader meets it: the pipeline's plots, drawn in a real browser without a network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tools import plots_page

ROOT = Path(__file__).resolve().parents[2]
DRAWN_WITHIN_S = 60
NUMBERS = [0.0, 0.25, 0.5, 1.0]
DAYS = ["2018-08-08", "2018-08-09", "2018-08-10", "2018-08-11"]


def points(x: str, y: str) -> list[dict[str, Any]]:
    """A curve of two candidates, as the stage `evaluate` writes it."""
    values = DAYS if x == "day" else NUMBERS
    return [
        {"candidate": candidate, x: value, y: number}
        for candidate in ("forest", "boosting")
        for value, number in zip(values, NUMBERS, strict=True)
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of what `dvc plots show` writes for the plots of dvc.yaml, in a clone that was set up."""
    project = tmp_path_factory.mktemp("plots")
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    (project / "dvc.yaml").write_text(yaml.safe_dump({"plots": plots}))
    for name in ("config", "plots"):
        copy = shutil.copytree if (ROOT / ".dvc" / name).is_dir() else shutil.copyfile
        (project / ".dvc").mkdir(exist_ok=True)
        copy(ROOT / ".dvc" / name, project / ".dvc" / name)
    for plot in plots:
        ((described),) = plot.values()
        ((file, y),) = described["y"].items()
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text(json.dumps(points(described["x"], y)))
    subprocess.run(["git", "init", "--quiet", project], check=True)
    plots_page.main(project)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))}
    words = (sys.executable, "-m", "dvc", "plots", "show")
    said = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=True).stdout
    address = (project / "dvc_plots" / "index.html").as_uri()
    assert address in said
    return address


def show(browser: Chrome, address: str, width: int) -> None:
    """Open it with nothing to be reached but files, and wait until each plot is drawn."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["http://*", "https://*"]})
    browser.get_log("performance")
    browser.get(address)
    WebDriverWait(browser, DRAWN_WITHIN_S).until(lambda _: len(drawings(browser)) == 4)


def drawings(browser: Chrome) -> list[Any]:
    return browser.find_elements(By.CSS_SELECTOR, ".vega-embed canvas.marks, .vega-embed svg.marks")


@pytest.mark.parametrize("width", [1280, 390])
def test_every_plot_is_drawn_and_nothing_is_fetched(browser: Chrome, page: str, width: int) -> None:
    """Each fits into the screen's width."""
    show(browser, page, width)
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in sent if event["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {page}
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert all(width / 5 < drawing.rect["width"] <= width for drawing in drawings(browser))


def test_a_page_that_a_person_has_chosen_stays(tmp_path: Path) -> None:
    """Ours is named again wherever the environment has moved to."""
    (tmp_path / ".dvc").mkdir()
    own = tmp_path / ".dvc" / "config.local"
    plots_page.name_it(tmp_path / ".dvc", tmp_path / "old" / plots_page.NAME)
    plots_page.name_it(tmp_path / ".dvc", tmp_path / "new" / plots_page.NAME)
    assert "html_template = ../new/dvc-plots.html" in own.read_text()
    own.write_text("[plots]\n    html_template = mine.html\n")
    plots_page.name_it(tmp_path / ".dvc", tmp_path / "new" / plots_page.NAME)
    assert own.read_text() == "[plots]\n    html_template = mine.html\n"
