"""The second half of `make recording`: a drill in its report as docs/pictures/report.png, by a headless Chromium."""

import base64
import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from koboshi.drills.page.overview import newest_in
from koboshi.drills.page.render import publish_page
from koboshi.errors import BadInput, NotConfigured
from koboshi.settings import load_settings

TARGET = Path("docs/pictures/report.png")
DRILL = "ray-worker-killed"
WIDTH, HEIGHT = 820, 900
COLOURS = 192
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
PART = """
const drill = document.getElementById(arguments[0]).getBoundingClientRect();
const folded = document.querySelector(`[id="${arguments[0]}"] details`).getBoundingClientRect();
return {x: 0, y: drill.top, width: innerWidth, height: folded.top - drill.top, scale: 1};
"""


def main() -> None:
    """Picture the drill's part of the page, down to what is folded: journals name the machine's own paths."""
    journals = [found for found in newest_in(load_settings().state_dir / "drills") if found.report.drill == DRILL]
    if not journals:
        raise BadInput(f"the drill {DRILL} was not run here yet: run `koboshi drill run {DRILL}` first.")
    with tempfile.TemporaryDirectory() as folder:
        page = publish_page(Path(folder) / "report.html", journals)
        taken = picture(page.as_uri(), Path(folder) / "profile")
    Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLOURS).save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")  # noqa: T201


def picture(address: str, profile: Path) -> bytes:
    """The part of a page as a PNG."""
    options = ChromeOptions()
    options.binary_location = _found("chromium")
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(argument)
    browser = Chrome(options, Service(_found("chromedriver")))
    try:
        browser.get(address)
        clip = browser.execute_script(PART, DRILL)
        taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        return base64.b64decode(taken["data"])
    finally:
        browser.quit()


def _found(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotConfigured(f"{name} is not installed: `make tools` installs it.")
    return found


if __name__ == "__main__":
    from koboshi.exits import run_and_exit

    run_and_exit(main, "recording")
