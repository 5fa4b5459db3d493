"""An animated SVG of terminals: frames of styled text, each shown for as long as it stood there.

No script and nothing fetched, so that it plays wherever an image does: one strip of frames, moved by a CSS animation.
A row that stands in several frames is there once. Who wants no motion sees the last frame.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape

CELL_PX, LINE_PX, MARGIN_PX, BAR_PX = 7.2, 16, 14, 30
HOLD_S = 6.0  # the last frame, before the film begins anew
COLOURS: Mapping[str, str] = {
    "default": "#d8dee9",
    "black": "#4c566a",
    "red": "#ff7b72",
    "green": "#7ee787",
    "brown": "#e3b341",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
    "white": "#ffffff",
    "dim": "#8b949e",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """Characters of one style, side by side."""

    text: str
    colour: str = "default"
    bold: bool = False


Row = tuple[Run, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """What stood on the terminals from a moment on, in seconds from the beginning."""

    at_s: float
    rows: tuple[Row, ...]


def film(frames: Sequence[Frame], columns: int, title: str) -> str:
    """The SVG of frames in the order of their times; raises `ValueError` where there is none."""
    if not frames:
        raise ValueError("a film needs a frame")
    lines = max(len(frame.rows) for frame in frames)
    width, height = columns * CELL_PX + 2 * MARGIN_PX, BAR_PX + lines * LINE_PX + 2 * MARGIN_PX
    ids = _numbered(row for frame in frames for row in frame.rows if _is_seen(row))
    strip = "".join(_frame(number, frame, ids, width, height) for number, frame in enumerate(frames))
    rows = "".join(_row(number, row) for row, number in ids.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_short(width)} {_short(height)}" '
        f'width="{_short(width)}" height="{_short(height)}" role="img">\n'
        f"<title>{escape(title)}</title>\n<style>{_style(frames, height)}</style>\n<defs>{rows}</defs>\n"
        f'<rect class="ground" width="{_short(width)}" height="{_short(height)}" rx="8"/>\n'
        f'<g class="strip">\n{strip}</g>\n</svg>\n'
    )


def _numbered(rows: Iterable[Row]) -> dict[Row, int]:
    found: dict[Row, int] = {}
    for row in rows:
        found.setdefault(row, len(found))
    return found


def _is_seen(row: Row) -> bool:
    return any(run.text.strip() for run in row)


def _frame(number: int, frame: Frame, ids: Mapping[Row, int], width: float, height: float) -> str:
    shown = "".join(
        f'<use href="#r{ids[row]}" y="{line * LINE_PX}"/>' for line, row in enumerate(frame.rows) if _is_seen(row)
    )
    minutes, seconds = divmod(frame.at_s, 60)
    clock = f'<text class="clock" x="{_short(width - 2 * MARGIN_PX)}" y="-14">{minutes:.0f}:{seconds:04.1f}</text>'
    place = f"translate({MARGIN_PX} {_short(number * height + BAR_PX + MARGIN_PX)})"
    return f'<g transform="{place}">{clock}{shown}</g>\n'


def _row(number: int, row: Row) -> str:
    runs = [*row[:-1], dataclasses.replace(row[-1], text=row[-1].text.rstrip())]
    cells = sum(len(run.text) for run in runs)
    inner = "".join(_run(run) for run in runs if run.text)
    return f'<text id="r{number}" y="12" textLength="{_short(cells * CELL_PX)}">{inner}</text>\n'


def _run(run: Run) -> str:
    names = [*([] if run.colour == "default" else [f"c{run.colour.lstrip('#')}"]), *(["b"] if run.bold else [])]
    text = escape(run.text)
    return f'<tspan class="{" ".join(names)}">{text}</tspan>' if names else text


def _style(frames: Sequence[Frame], height: float) -> str:
    whole_s = frames[-1].at_s + HOLD_S
    stops = "".join(
        f"{_percent(frame.at_s / whole_s)}{{transform:translateY({_short(-number * height)}px)}}"
        for number, frame in enumerate(frames)
    )
    last = f"translateY({_short(-(len(frames) - 1) * height)}px)"
    used = sorted({run.colour for frame in frames for row in frame.rows for run in row} - {"default"})
    colours = "".join(f".c{name.lstrip('#')}{{fill:{COLOURS.get(name, name)}}}" for name in used)
    return (
        f"text{{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        f"white-space:pre;fill:{COLOURS['default']}}}.b{{font-weight:bold}}{colours}"
        f".ground{{fill:#161b22}}.clock{{text-anchor:end;fill:{COLOURS['dim']}}}"
        f".strip{{transform:{last};animation:play {whole_s:.1f}s step-end infinite}}"
        f"@keyframes play{{{stops}}}@media(prefers-reduced-motion:reduce){{.strip{{animation:none}}}}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3f}%"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
