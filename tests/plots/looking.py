"""Looking at a drawing: where its texts stand, which colours and marks it holds."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox


@dataclass(frozen=True)
class Words:
    text: str
    box: Bbox
    color: str


def words(figure: Figure) -> list[Words]:
    """Return every text that is drawn, with its extent in pixels."""
    canvas = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [Words(t.get_text(), t.get_window_extent(renderer), str(to_hex(t.get_color())).upper()) for t in texts]


def clipped(figure: Figure, slack: float = 1.0) -> list[str]:
    """Return the texts that leave the sheet; the slack in pixels is hinting of glyphs at low resolution."""
    page = figure.bbox
    return [
        w.text
        for w in words(figure)
        if w.box.x0 < page.x0 - slack or w.box.y0 < page.y0 - slack
        or w.box.x1 > page.x1 + slack or w.box.y1 > page.y1 + slack
    ]  # fmt: skip


def overlapping(figure: Figure, slack: float = 1.0) -> list[tuple[str, str]]:
    """Return pairs of texts that touch."""
    found = words(figure)
    return [
        (a.text, b.text)
        for a, b in itertools.combinations(found, 2)
        if min(a.box.x1, b.box.x1) - max(a.box.x0, b.box.x0) > slack
        and min(a.box.y1, b.box.y1) - max(a.box.y0, b.box.y0) > slack
    ]


def lines(figure: Figure, marker: str | None = None) -> list[Line2D]:
    """Return the lines of the axes, or those with a marker."""
    found = [line for ax in figure.axes for line in ax.lines]
    return [line for line in found if marker is None or line.get_marker() == marker]
