"""Make the page that `dvc plots show` fills need no network: `python tools/plots_page.py`, which `make setup` runs.

DVC's own page loads Vega from a content delivery network. This one has Vega's scripts in it, out of the wheel of
vl-convert, and stays beside the environment that it was made with. Only this clone is told of it, in .dvc/config.local:
a clone without this environment goes on with DVC's page. So does a clone that names a page of its own.
"""

import os
import sys
from pathlib import Path

import vl_convert
from dvc.config import Config

ROOT = Path(__file__).resolve().parent.parent
NAME = "dvc-plots.html"
VEGA_LITE = "5.20"  # the schema of .dvc/plots is version 5
EXPORT = "window.vegaEmbed = vegaEmbed;"  # what DVC's plots call
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh_tag}
<title>DVC plots</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; margin: 1rem; display: flex; flex-wrap: wrap; gap: 1.5rem; }
  body > div, body > div.vega-embed { box-sizing: border-box; width: min(100%, 36rem); }
</style>
<script>SCRIPTS</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def main(project: Path = ROOT) -> None:
    """Write the page, then name it: never the other way round."""
    path = Path(sys.prefix) / "share" / "koboshi" / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PAGE.replace("SCRIPTS", vl_convert.javascript_bundle(EXPORT, VEGA_LITE)))
    name_it(project / ".dvc", path)


def name_it(dvc: Path, path: Path) -> None:
    """In this clone's own settings, unless a page of another name is chosen."""
    chosen = Config(str(dvc))["plots"].get("html_template", NAME)
    if Path(chosen).name != NAME:
        return
    with Config(str(dvc)).edit("local") as settings:
        settings.setdefault("plots", {})["html_template"] = os.path.relpath(path, dvc)


if __name__ == "__main__":
    main()
