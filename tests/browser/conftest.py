"""A real Chromium, headless, with what it fetches and complains of kept for the tests."""

from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Iterator[Chrome]:
    """One browser for a module's tests, ended with all its processes."""
    options = ChromeOptions()
    options.binary_location = tool("chromium")
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = Chrome(options, Service(tool("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
