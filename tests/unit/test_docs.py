"""The pages of docs/: each says which kind it is, and stands in the list by which the site is navigated."""

import re
from pathlib import Path

import pytest

from tools.build_docs import CONTENTS, ENTRY, ROOT, configured, decisions, navigation

KINDS = ("tutorial", "how-to", "reference", "explanation")
PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != CONTENTS.name)
TEXT = (ROOT / CONTENTS).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_its_kind_in_its_first_line_and_is_listed_under_it(page: Path) -> None:
    title = page.read_text().partition("\n")[0]
    (kind,) = re.findall(r"\((.+)\)$", title)
    assert kind in KINDS
    section = next(part for part in TEXT.split("\n## ") if part.casefold().startswith(kind))
    assert f"]({page.name})" in section


def test_the_list_names_no_page_twice() -> None:
    targets = [target for _, target in ENTRY.findall(TEXT)]
    assert sorted(targets) == sorted({*(page.name for page in PAGES), "decisions/README.md"})


def test_the_navigation_has_every_page_the_made_ones_and_every_decision() -> None:
    places = re.findall(r"'([\w/.-]+\.md)'", str(navigation(ROOT)))
    assert {"index.md", "docs/tutorial.md", "reference/cli.md", "reference/settings.md"} <= set(places)
    assert [path for _, path in decisions(ROOT) if f"docs/decisions/{path.name}" not in places] == []


def test_the_configuration_gets_the_navigation_into_its_first_table() -> None:
    text = configured('[project]\nsite_name = "k"\n[project.theme]\nfont = false\n', [{'a "b"': [{"c": "c.md"}]}])
    assert text.splitlines()[1:4] == [
        'docs_dir = "pages"',
        'site_dir = "site"',
        'nav = [{"a \\"b\\"" = [{"c" = "c.md"}]}]',
    ]
