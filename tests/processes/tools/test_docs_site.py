"""`make docs` builds without a warning; the site fetches nothing, and each of its links leads somewhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from tests.support.docs_site import build_site
from tools import build_docs

pytestmark = pytest.mark.usefixtures("unmeasured")

FETCHED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
    "use": "href",
}
FETCHING_LINKS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "manifest", "prefetch"}


class Page(HTMLParser):
    """What a page fetches, where its links lead, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched, self.links, self.anchors = list[str](), list[str](), set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "link" and FETCHING_LINKS & set(given.get("rel", "").split()):
            self.fetched.append(given["href"])
        elif tag in FETCHED and FETCHED[tag] in given:
            self.fetched.append(given[FETCHED[tag]])
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_site(tmp_path_factory.mktemp("docs"))


@pytest.fixture(scope="module")
def found(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text()) for path in site.rglob("*.html") if path.name != "404.html"}


def is_outside(address: str) -> bool:
    return bool(urlsplit(address).netloc) or address.startswith("//")


def test_no_page_fetches_anything_from_outside(found: dict[Path, Page]) -> None:
    """No font, script, style or picture: a reader without a network sees all of it, and nobody hears of the reader."""
    assert len(found) > 40
    assert {address for page in found.values() for address in page.fetched if is_outside(address)} == set()


def test_no_style_fetches_anything_from_outside(site: Path) -> None:
    styles = [path.read_text() for path in site.rglob("*.css")]
    assert styles
    assert [text for text in styles if "url(http" in text.replace('"', "").replace("'", "") or "@import" in text] == []


def test_every_link_within_the_site_leads_to_a_page_and_an_anchor(site: Path, found: dict[Path, Page]) -> None:
    broken = []
    for path, page in found.items():
        for address in (*page.links, *page.fetched):
            if is_outside(address) or urlsplit(address).scheme in ("mailto", "data"):
                continue
            parts = urlsplit(urljoin(path.as_uri(), address))
            target, anchor = Path(unquote(parts.path)), unquote(parts.fragment)
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (anchor and target in found and anchor not in found[target].anchors):
                broken.append(f"{path.relative_to(site)}: {address}")
    assert broken == []


def test_the_pictures_of_the_first_screen_are_there(site: Path, found: dict[Path, Page]) -> None:
    fetched = found[site / "index.html"].fetched
    assert {"docs/pictures/recovery.svg", "docs/pictures/architecture.svg", "docs/pictures/report.png"} <= set(fetched)


@pytest.mark.parametrize(
    ("page", "said"),
    [("[there](nowhere.md)\n", "page does not exist"), ("[there](training.md#nothing)\n", "anchor")],
)
def test_a_link_that_leads_nowhere_fails_the_build_and_leaves_the_site_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], page: str, said: str
) -> None:
    gather = build_docs.gather

    def gather_and_break(folder: Path) -> None:
        gather(folder)
        with (folder / "docs" / "glossary.md").open("a") as glossary:
            glossary.write(page)

    monkeypatch.setattr(build_docs, "gather", gather_and_break)
    site = tmp_path / "site"
    site.mkdir()
    (site / "before.html").write_text("before")
    assert build_docs.build(tmp_path / "work", site) != 0
    assert said in "".join(capfd.readouterr())
    assert (site / "before.html").read_text() == "before"


def test_the_builder_is_the_locked_one() -> None:
    locked = (build_docs.ROOT / "requirements.lock").read_text()
    told = subprocess.run(
        [Path(sys.executable).parent / "zensical", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert f"zensical=={told.split()[-1]}" in locked
