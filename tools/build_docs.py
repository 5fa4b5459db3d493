"""`make docs`: the documentation as a site in site/, with warnings as errors.

The pages are those of the repository, at the same places, so that each link of theirs holds on a forge and on the site:
README.md, docs/, and what they refer to. The reference is made from the code (`reference_pages`), the navigation from
docs/README.md, the list of decisions from their files. The builder is Zensical.
"""

import json
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.reference_pages import pages

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
CONFIGURATION = Path("docs/zensical.toml")
CONTENTS = Path("docs/README.md")
DECISIONS = Path("docs/decisions")
COPIED = ("*.md", "LICENSE", "docs/**/*.md", "examples/**/README.md", "docs/pictures/*", "benchmarks/results/*.svg")
REFERENCE = "reference"
MADE = {"Command line": "cli.md", "Settings": "settings.md", "Python": "python.md"}
ENTRY = re.compile(r"^- \[([^]]+)\]\(([^)#]+)\)", re.MULTILINE)
Navigation = list[dict[str, Any]]


def main() -> None:
    """Gather, build, and say where the site is; exit 1 for any warning."""
    site = Path(sys.argv[1]).resolve() if sys.argv[1:] else SITE
    with tempfile.TemporaryDirectory(prefix="koboshi-docs-") as folder:
        code = build(Path(folder), site)
    if code:
        sys.exit(code)
    where = site.relative_to(Path.cwd()) if site.is_relative_to(Path.cwd()) else site
    print(f"{where}/index.html is written. With its search: python -m http.server -b 127.0.0.1 -d {where}")  # noqa: T201


def build(folder: Path, site: Path) -> int:
    """Build the site out of a folder of its own; the builder's exit code."""
    gather(folder / "pages")
    configuration = folder / "zensical.toml"
    configuration.write_text(configured((ROOT / CONFIGURATION).read_text(), navigation(ROOT)))
    builder = Path(sys.executable).parent / "zensical"
    code = subprocess.run(
        [builder, "build", "--strict", "--clean", "-f", configuration], cwd=folder, check=False
    ).returncode
    if not code:
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(folder / "site", site)
    return code


def gather(folder: Path) -> None:
    """The pages as the builder gets them: those of the repository, and those that are made."""
    for pattern in COPIED:
        for path in ROOT.glob(pattern):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    with (folder / DECISIONS / "README.md").open("a") as page:
        page.write("\n" + "".join(f"- [{title}]({path.name})\n" for title, path in decisions(ROOT)))
    (folder / REFERENCE).mkdir()
    for name, text in pages().items():
        (folder / REFERENCE / name).write_text(text)
    (folder / "README.md").rename(folder / "index.md")


def navigation(root: Path) -> Navigation:
    """The sections of docs/README.md with their pages, in that order, and the made pages under the reference."""
    sections: Navigation = [{"koboshi": "index.md"}]
    for part in (root / CONTENTS).read_text().split("\n## ")[1:]:
        title = part.partition("\n")[0]
        entries: Navigation = [{name: _entry(root, target)} for name, target in ENTRY.findall(part)]
        if title == "Reference":
            entries += [{name: f"{REFERENCE}/{page}"} for name, page in MADE.items()]
        sections.append({title: entries})
    return sections


def decisions(root: Path) -> list[tuple[str, Path]]:
    """Each decision's title and file, by number."""
    found = sorted((root / DECISIONS).glob("[0-9]*.md"))
    return [(path.read_text().partition("\n")[0].removeprefix("# "), path) for path in found]


def configured(text: str, pages_of_site: Navigation) -> str:
    """The configuration with the navigation and the pages' folder, at the top of its first table."""
    own = f'docs_dir = "pages"\nsite_dir = "site"\nnav = {_toml(pages_of_site)}\n'
    return text.replace("[project]\n", f"[project]\n{own}", 1)


def _entry(root: Path, target: str) -> str | Navigation:
    """A link of docs/README.md as a path below the root; the list of decisions has each of them below it."""
    place = posixpath.normpath(posixpath.join("docs", target))
    if Path(place).parent != DECISIONS:
        return place
    return [{"All": place}, *({title: f"{DECISIONS}/{path.name}"} for title, path in decisions(root))]


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return "{" + ", ".join(f"{_toml(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"


if __name__ == "__main__":
    main()
