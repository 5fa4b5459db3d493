"""The second half of `make recording`: the newest drill report as docs/pictures/report.png, by a headless Chromium."""

import subprocess
import tempfile
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from koboshi.drills.page.overview import newest_in
from koboshi.drills.page.render import publish_page
from koboshi.errors import BadInput, NotConfigured
from koboshi.settings import load_settings

TARGET = Path("docs/pictures/report.png")
DRILLS = ("landing-killed", "ray-worker-killed", "replica-killed")
WIDTH, HEIGHT = 960, 760
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


def main() -> None:
    """Picture the top of the page; the machine's own paths are in journals, which are folded."""
    journals = [found for found in newest_in(load_settings().state_dir / "drills") if found.report.drill in DRILLS]
    if not journals:
        raise BadInput(f"none of the drills {', '.join(DRILLS)} was run here yet: run `make demo` first.")
    with tempfile.TemporaryDirectory() as folder:
        page = publish_page(Path(folder) / "report.html", journals)
        picture(page.as_uri(), Path(folder) / "profile")
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")  # noqa: T201


def picture(address: str, profile: Path) -> None:
    """The first screen of a page, as Debian's Chromium shows it."""
    programs = [_found(name) for name in ("chromium", "chromedriver")]
    options = ChromeOptions()
    options.binary_location = programs[0]
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(argument)
    browser = Chrome(options, Service(programs[1]))
    try:
        browser.get(address)
        browser.save_screenshot(str(TARGET))
    finally:
        browser.quit()


def _found(name: str) -> str:
    found = subprocess.run(["which", name], capture_output=True, text=True, check=False).stdout.strip()
    if not found:
        raise NotConfigured(f"{name} is not installed: `make tools` installs it.")
    return found


if __name__ == "__main__":
    from koboshi.exits import run_and_exit

    run_and_exit(main, "recording")
